"""Models of pydantic and attrs classes as payloads: received, refused and sent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from ipaddress import IPv4Address
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import annotated_types
import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypedDict

from socketio_core import MsgpackParser, Socket, SocketServer
from socketio_core.payloads.check import resolve_check
from socketio_core.schema.json_schema import Schemas
from socketio_core.testing import TestServer

Item = TypeVar("Item")


class Owner(BaseModel):
    name: Annotated[str, Field(min_length=2)]


class Task(BaseModel):
    id: int = Field(alias="taskId", ge=1)
    owner: Owner | None = None
    tags: list[str] = []

    @field_validator("tags")
    @classmethod
    def limit(cls, tags: list[str]) -> list[str]:
        if len(tags) > 3:
            raise ValueError("at most 3 tags")
        return tags


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    x: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Page(BaseModel, Generic[Item]):
    rows: list[Item]


@pydantic.dataclasses.dataclass
class Percent:
    value: Annotated[int, Field(le=100)]


@dataclass
class Holder:
    """A dataclass of the standard library with a model inside."""

    task: Task
    tags: list[str] = field(default_factory=list)


class Holding(TypedDict):
    task: Task


@attrs.define
class Point:
    x: int = attrs.field(validator=attrs.validators.ge(0))
    y: int = 0


@attrs.frozen
class Line:
    points: list[Point]


class Blob(BaseModel):
    data: bytes
    at: datetime


class Address(BaseModel):
    ip: IPv4Address
    secret: pydantic.SecretStr = pydantic.SecretStr("a")


async def call(handler: Callable[..., Any], *args: Any, **options: Any) -> Any:
    io = SocketServer(**options)
    io.on("x", handler)
    async with TestServer(io) as server:
        client = await server.connect()
        return await client.emit_with_ack("x", *args)


def takes_model(socket: Socket, task: Task) -> Any:
    assert isinstance(task, Task)
    return [task.id, task.owner.name if task.owner else None, task.tags]


def takes_closed(socket: Socket, payload: Closed) -> Any:
    return payload.x


def takes_pets(socket: Socket, pets: list[Pet]) -> Any:
    return [type(pet).__name__ for pet in pets]


def takes_union(socket: Socket, value: Closed | int | None) -> Any:
    return type(value).__name__


def takes_generic(socket: Socket, page: Page[Owner]) -> Any:
    return [row.name for row in page.rows]


def takes_pydantic_dataclass(socket: Socket, percent: Percent) -> Any:
    return percent.value


def takes_dataclass_with_model(socket: Socket, holder: Holder) -> Any:
    assert isinstance(holder, Holder)
    return holder.task.id


def takes_dict_with_model(socket: Socket, holding: Holding) -> Any:
    return holding["task"].id


def takes_attrs(socket: Socket, line: Line) -> Any:
    assert isinstance(line.points[0], Point)
    return [(each.x, each.y) for each in line.points]


def takes_constrained(socket: Socket, count: pydantic.PositiveInt) -> Any:
    return count


class Limits(TypedDict):
    most: Annotated[int, Field(le=9)]


def takes_constrained_field(socket: Socket, limits: list[Limits]) -> Any:
    return len(limits)


def takes_type_of_pydantic(socket: Socket, secret: pydantic.SecretStr) -> Any:
    return secret.get_secret_value()


def takes_both(socket: Socket, task: Task, number: int = 1, *rest: Owner) -> Any:
    return [task.id, number, [each.name for each in rest]]


TASK = {"taskId": 3}
VALID: list[tuple[Callable[..., Any], list[Any], Any]] = [
    (takes_model, [TASK], [3, None, []]),
    (takes_model, [{"taskId": 3, "owner": {"name": "Ada"}, "more": 1}], [3, "Ada", []]),
    (takes_closed, [{"x": 1}], 1),
    (takes_pets, [[{"kind": "dog", "name": "Rex"}, {"kind": "cat", "lives": 9}]], ["Dog", "Cat"]),
    (takes_union, [{"x": 1}], "Closed"),
    (takes_union, [None], "NoneType"),
    (takes_union, [7], "int"),
    (takes_generic, [{"rows": [{"name": "Ada"}]}], ["Ada"]),
    (takes_pydantic_dataclass, [{"value": 7}], 7),
    (takes_dataclass_with_model, [{"task": TASK}], 3),
    (takes_dict_with_model, [{"task": TASK}], 3),
    (takes_attrs, [{"points": [{"x": 1}, {"x": 2, "y": 3}]}], [[1, 0], [2, 3]]),
    (takes_constrained, [1], 1),
    (takes_constrained_field, [[{"most": 9}]], 1),
    (takes_type_of_pydantic, ["a"], "a"),
    (takes_both, [TASK], [3, 1, []]),
    (takes_both, [TASK, 2, {"name": "Ada"}], [3, 2, ["Ada"]]),
]
INVALID: list[tuple[Callable[..., Any], list[Any], list[str]]] = [
    (takes_model, [{}], ["task.taskId"]),
    (takes_model, [7], ["task"]),
    (takes_model, [{"taskId": 0, "owner": {"name": "A"}}], ["task.taskId", "task.owner.name"]),
    (takes_model, [{"taskId": 1, "tags": ["a", 1, "c"]}], ["task.tags[1]"]),
    (takes_model, [{"taskId": 1, "tags": list("abcd")}], ["task.tags"]),
    (takes_closed, [{"x": 1, "y": 2}], ["payload.y"]),
    (takes_pets, [[{"kind": "cat", "lives": "x"}, {"kind": "?"}]], ["pets[0].lives", "pets[1]"]),
    (takes_union, [{"x": []}], ["value.x", "value"]),
    (takes_generic, [{"rows": [{"name": "Ada"}, {}]}], ["page.rows[1].name"]),
    (takes_pydantic_dataclass, [{"value": 101}], ["percent.value"]),
    (takes_dataclass_with_model, [{"task": {"taskId": "a"}}], ["holder.task.taskId"]),
    (takes_dict_with_model, [{}], ["holding.task"]),
    (takes_attrs, [{"points": [{"x": 1}, {"x": -1}]}], ["line.points[1]"]),
    (takes_attrs, [{"points": [{"y": 1}]}], ["line.points[0].x"]),
    (takes_constrained, [0], ["count"]),
    (takes_constrained_field, [[{"most": 9}, {"most": 10}]], ["limits[1].most"]),
    (takes_type_of_pydantic, [1], ["secret"]),
    (takes_both, [], ["task"]),
    (takes_both, [TASK, "a"], ["number"]),
    (takes_both, [TASK, 1, {"name": "Ada"}, {"name": ""}], ["rest.name"]),
]


@pytest.mark.parametrize(("handler", "args", "answer"), VALID)
async def test_valid_payload_reaches_the_handler(
    handler: Callable[..., Any], args: list[Any], answer: Any
) -> None:
    assert await call(handler, *args) == answer


@pytest.mark.parametrize(("handler", "args", "paths"), INVALID)
async def test_invalid_payload_is_answered_with_the_paths_of_its_fields(
    handler: Callable[..., Any], args: list[Any], paths: list[str]
) -> None:
    answer = await call(handler, *args)
    assert answer["success"] is False
    assert answer["code"] == "VALIDATION_ERROR"
    assert [each["path"] for each in answer["fields"]] == paths
    assert all(set(each) == {"path", "message"} and each["message"] for each in answer["fields"])
    if args:
        assert answer["error"].startswith(f"{paths[0]}: {answer['fields'][0]['message']}")


async def test_error_lists_a_limited_number_of_fields() -> None:
    answer = await call(takes_model, {"taskId": 1, "tags": [1] * 1000})
    assert len(answer["fields"]) == 20
    assert answer["error"].endswith("(and 19 more)")


async def test_exception_of_a_validator_is_not_sent() -> None:
    class Broken(BaseModel):
        x: int

        @field_validator("x")
        @classmethod
        def fail(cls, value: int) -> int:
            raise LookupError("secret")

    def handler(socket, payload): ...

    handler.__annotations__ = {"payload": Broken}
    answer = await call(handler, {"x": 1})
    assert answer == {"success": False, "error": "internal error", "code": "HANDLER_ERROR"}


@pytest.mark.parametrize("parser", ["json", "msgpack"])
async def test_model_is_sent_with_its_aliases(parser: str) -> None:
    options = {"parser": MsgpackParser()} if parser == "msgpack" else {}

    def handler(socket: Socket, *args: Any) -> Any:
        return [Task(taskId=1, owner=Owner(name="Ada")), Holder(Task(taskId=2)), Line([Point(1)])]

    assert await call(handler, **options) == [
        {"taskId": 1, "owner": {"name": "Ada"}, "tags": []},
        {"task": {"taskId": 2, "owner": None, "tags": []}, "tags": []},
        {"points": [{"x": 1, "y": 0}]},
    ]


async def test_bytes_in_a_model_are_sent_as_an_attachment() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    answer = await call(lambda socket: Blob(data=b"\xff", at=moment))
    assert answer == {"data": b"\xff", "at": "2024-01-01T00:00:00.000Z"}


async def test_types_of_pydantic_are_sent_in_their_json_form() -> None:
    answer = await call(lambda socket: Address(ip=IPv4Address("10.0.0.1")))
    assert answer == {"ip": "10.0.0.1", "secret": "**********"}


# -- registration


@attrs.define
class Converted:
    x: int = attrs.field(converter=int)


@attrs.define
class Renamed:
    x: int = attrs.field(alias="y")


class Struct(msgspec.Struct):
    x: int


@attrs.define
class Around:
    inner: Converted


class Plain:
    pass


class Bounded(msgspec.Struct):
    x: Annotated[int, Field(ge=1)]  # msgspec would ignore the constraint


@attrs.define
class BoundedPoint:
    x: Annotated[int, annotated_types.Lt(9)]


class Described(msgspec.Struct):
    x: Annotated[int, Field(description="a number"), annotated_types.doc("a number")]
    y: pydantic.StrictInt = 0


@attrs.define
class DescribedPoint:
    x: Annotated[int, Field(title="X", examples=[1])]


@pytest.mark.parametrize(
    "annotation",
    [
        Described,
        DescribedPoint,
        Annotated[int, Field(description="a number")],
        Annotated[int, Field(strict=True)],
        Annotated[int, pydantic.WithJsonSchema({"type": "integer"})],
    ],
)
def test_metadata_of_pydantic_without_constraints_leaves_the_check_to_msgspec(
    annotation: Any,
) -> None:
    assert resolve_check(annotation) is annotation


@pytest.mark.parametrize("kind", [Described, DescribedPoint])
async def test_described_field_is_checked_strictly(kind: Any) -> None:
    def handler(socket, payload):
        return payload.x

    handler.__annotations__ = {"payload": kind}
    assert await call(handler, {"x": 5}) == 5
    answer = await call(handler, {"x": "5"})
    assert answer["error"] == "payload.x: Expected `int`, got `str`"


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (pydantic.PositiveInt, "5", "Expected `int`, got `str`"),
        (pydantic.PositiveInt, 0, "Input should be greater than 0"),
        (Annotated[float, Field(ge=1)], "1.5", "Expected `float`, got `str`"),
        (Annotated[bool, pydantic.AfterValidator(bool)], 1, "Expected `bool`, got `int`"),
        (Annotated[str, Field(description="a name", min_length=2)], "a", "at least 2 characters"),
        (Annotated[date, annotated_types.Gt(date(2020, 1, 1))], "2019-01-01", "greater than 2020"),
        (Annotated[int, Field(ge=1), msgspec.Meta(le=9)], 10, "Expected `int` <= 9"),
    ],
)
async def test_constrained_type_refuses_invalid_values_of_both_libraries(
    annotation: Any, value: Any, message: str
) -> None:
    def handler(socket, payload): ...

    handler.__annotations__ = {"payload": annotation}
    answer = await call(handler, value)
    assert answer["code"] == "VALIDATION_ERROR"
    assert message in answer["error"]


@dataclass
class Booking:
    on: date
    seats: Annotated[int, Field(ge=1)]
    guests: tuple[UUID, ...] = ()
    by_row: dict[int, int] = field(default_factory=dict)
    ticket: Annotated[bytes, annotated_types.MaxLen(3)] = b""


@pytest.mark.parametrize("parser", ["json", "msgpack"])
async def test_constrained_type_accepts_the_json_form_of_its_values(parser: str) -> None:
    guest = UUID(int=1)
    expected = Booking(date(2024, 1, 2), 2, (guest,), {7: 1}, b"abc")

    def handler(socket: Socket, booking: Booking) -> Any:
        assert booking == expected
        return True

    sent = {
        "on": "2024-01-02", "seats": 2, "guests": [str(guest)], "by_row": {"7": 1},
        "ticket": b"abc",
    }  # fmt: skip
    options = {"parser": MsgpackParser()} if parser == "msgpack" else {}
    assert await call(handler, sent, **options) is True


def test_constraint_is_refused_without_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    resolve_check(Annotated[int, annotated_types.doc("a number")])
    with pytest.raises(TypeError, match=r"constraint Ge\(ge=1\) requires pydantic, which is not"):
        resolve_check(Annotated[int, annotated_types.Ge(1)])


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        (
            Bounded,
            r"the constraint Ge\(ge=1\), cannot check the msgspec.Struct Bounded: use msgspec",
        ),
        (list[BoundedPoint], "cannot check the attrs class BoundedPoint: use msgspec.Meta"),
        (pydantic.FilePath, "type 'Path' has no|not supported|unsupported"),
        (Task | Struct, "pydantic cannot check the msgspec.Struct Struct: use models only"),
        (dict[str, Task | Point], "pydantic cannot check the attrs class Point"),
        (Closed | Plain, "Unable to generate pydantic-core schema for .*Plain"),
        (Converted, r"the converter of Converted.x would not run: convert in __attrs_post_init__"),
        (list[Around], "the converter of Converted.x would not run"),
        (Renamed, "the alias 'y' of Renamed.x would not be read: use the name of the field"),
        (Point | Line, "may not contain more than one dataclass"),
    ],
)
def test_type_that_cannot_be_checked_is_refused_at_registration(annotation: Any, why: str) -> None:
    def handler(socket, payload): ...

    handler.__annotations__ = {"payload": annotation}
    with pytest.raises(TypeError, match=why):
        SocketServer().on("x", handler)


def test_pydantic_is_not_imported_for_other_types() -> None:
    program = (
        "import sys, socketio_core\n"
        "io = socketio_core.SocketServer()\n"
        "@io.on('x')\n"
        "def handler(socket: socketio_core.Socket, numbers: list[int]) -> None: ...\n"
        "io.typescript()\n"
        "print([name for name in ('pydantic', 'attr') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


# -- documents


def test_models_have_interfaces_with_their_aliases_and_constraints() -> None:
    io = SocketServer()

    @io.on("x")
    def handler(socket: Socket, task: Task, pets: list[Pet], line: Line, blob: Blob) -> Task:
        raise NotImplementedError

    text = io.typescript()
    assert "taskId: number;\n  owner?: Owner | null;" in text
    assert "taskId: number;\n  owner: Owner | null;" in text
    assert "(task: TaskInput, pets: (Cat | Dog)[], line: Line, blob: Blob, ack:" in text
    assert "export interface Point {\n  x: number;\n" in text
    assert "  data: Binary;\n  at: string;" in text


def test_constraints_are_in_the_schema_of_a_type() -> None:
    sizes = Annotated[list[pydantic.PositiveInt], annotated_types.Len(1, 3)]
    schemas = Schemas(received=[sizes], sent=[Bounded])
    assert schemas.of(sizes, is_sent=False) == {
        "type": "array", "items": {"type": "integer", "exclusiveMinimum": 0},
        "minItems": 1, "maxItems": 3,
    }  # fmt: skip
    assert schemas.definitions["Bounded"]["properties"]["x"] == {"type": "integer", "minimum": 1}


def test_model_and_struct_of_one_name_are_numbered() -> None:
    task = msgspec.defstruct("Task", [("y", int)])

    def handler(socket, a, b): ...

    handler.__annotations__ = {"a": task, "b": Task}
    io = SocketServer()
    io.on("x", handler)
    assert "x: (a: Task, b: Task2, ack" in io.typescript()


@pytest.mark.parametrize(
    ("annotation", "value", "path", "message"),
    [
        (dict[int, str], {"x": "a"}, "payload", "Expected `int`, got `str` as a key"),
        (dict[str, dict[int, str]], {"a": {"x": "b"}}, "payload[...]",
         "Expected `int`, got `str` as a key"),
        (dict[int, str], {"1": 2}, "payload[...]", "Expected `str`, got `int`"),
    ],
    ids=["key", "inner key", "value"],
)  # fmt: skip
async def test_invalid_key_has_the_path_of_its_object(
    annotation: Any, value: Any, path: str, message: str
) -> None:
    def handler(socket, payload):
        return payload

    handler.__annotations__ = {"payload": annotation}
    answer = await call(handler, value)
    assert answer["fields"] == [{"path": path, "message": message}]
