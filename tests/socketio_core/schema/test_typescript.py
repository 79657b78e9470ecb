"""The TypeScript of a server's events, as text; tests/interop compiles it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, Flag, IntFlag
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

import msgspec
import pytest

from socketio_core import DocumentedAs, Socket, SocketServer, server_event

Item = TypeVar("Item")


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Move(msgspec.Struct, rename="camel"):
    """A move of a task."""

    task_id: Annotated[int, msgspec.Meta(ge=1, description="the number of the task")]
    column: str = "done"
    color: Color | None = None


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


class Tree(msgspec.Struct):
    children: list[Tree] = []


class Place(NamedTuple):
    x: int
    y: int = 0


class Page(msgspec.Struct, Generic[Item]):
    rows: list[Item]


@dataclass
class Upload:
    name: str
    data: bytes
    tags: dict[str, int] = field(default_factory=dict)


class Problem(TypedDict):
    problem: str


Answer = TypedDict("Answer", {"from": str, "at": NotRequired[datetime], "is-new": bool})


def interface(io: SocketServer, name: str) -> str:
    """Return the lines inside a type of the printed module, without indentation."""
    found = re.search(rf"export (?:interface|type) {name} (?:= )?(.*?)\n(?=\n|$)", text(io), re.S)
    assert found is not None, f"{name} is not in the text:\n{text(io)}"
    return " ".join(found[1].split())


def text(io: SocketServer) -> str:
    return io.typescript() + "\n"


def test_parameters_become_arguments_and_the_result_becomes_the_ack() -> None:
    io = SocketServer()

    @io.on("task:move")
    async def move(socket: Socket, move: Move) -> bool:
        return True

    assert interface(io, "ClientToServerEvents") == (
        '{ "task:move": (move: Move, ack: (answer: boolean | Refusal) => void) => void; }'
    )
    assert interface(io, "Move") == (
        "{ /** the number of the task */ taskId: number; "
        '/** Default: "done". */ column?: string; color?: Color | null; }'
    )
    assert interface(io, "Color") == '"red" | "blue";'
    assert "/** A move of a task. */\nexport interface Move {" in text(io)


def test_type_used_in_both_directions_has_two_interfaces_if_it_has_defaults() -> None:
    io = SocketServer()
    io.on("a", lambda socket, move: None)

    @io.on("b")
    def move(socket: Socket, move: Move, place: Circle) -> tuple[Move, Circle]:
        raise NotImplementedError

    assert "column?: string" in interface(io, "MoveInput")
    assert "column: string" in interface(io, "Move")
    assert "CircleInput" not in text(io)
    assert "ack: (answer1: Move | Refusal, answer2: Circle) => void" in text(io)


def test_ack_of_any_number_of_arguments_is_a_rest_parameter() -> None:
    io = SocketServer()

    @io.on("numbers")
    def numbers(socket: Socket) -> tuple[int, ...]:
        raise NotImplementedError

    @io.on("values")
    def values(socket: Socket) -> tuple:  # type: ignore[type-arg]
        raise NotImplementedError

    @server_event("ask")
    def ask(question: str) -> tuple[int, ...]:
        raise NotImplementedError

    io.declare(ask)
    assert "numbers: (ack: (...answers: (number | Refusal)[]) => void) => void;" in text(io)
    assert "values: (ack: (...answers: any[]) => void) => void;" in text(io)
    assert "ask: (question: string, ack: (...answers: number[]) => void) => void;" in text(io)


def test_optional_argument_before_an_ack_gives_one_list_for_each_number_of_arguments() -> None:
    io = SocketServer()

    @io.on("find")
    def find(socket: Socket, text: str, page_number: int = 1) -> str:
        raise NotImplementedError

    assert interface(io, "ClientToServerEvents") == (
        "{ find: ( ...args: | [text: string, ack: (answer: string | Refusal) => void] "
        "| [text: string, pageNumber: number, ack: (answer: string | Refusal) => void] ) => void; }"
    )


def test_handler_without_annotations_accepts_anything_and_may_be_called_without_an_ack() -> None:
    io = SocketServer()
    io.on("a", lambda socket, x, y=1: None)
    assert "a: (x: any, y?: any, ack?: (answer: any) => void) => void;" in text(io)


def test_handler_of_any_number_of_arguments_accepts_anything() -> None:
    io = SocketServer()

    @io.on("a")
    def handler(*args: Any) -> None: ...

    assert "a: (...args: any[]) => void;" in text(io)


def test_handler_that_returns_none_has_no_ack() -> None:
    io = SocketServer()

    @io.on("delete")
    def delete(socket: Socket, *names: str) -> None: ...

    assert "delete: (...names: string[]) => void;" in text(io)


def test_types_of_the_standard_library_and_of_msgspec_have_their_json_form() -> None:
    io = SocketServer()

    @io.on("x")
    def handler(
        socket: Socket, shape: Circle | Square, tree: Tree, place: Place, upload: Upload,
        pair: tuple[int, str], several: list[int | None], kind: Literal["a", "b"], page: Page[Move],
    ) -> None: ...  # fmt: skip

    assert interface(io, "ClientToServerEvents") == (
        "{ x: (shape: Circle | Square, tree: Tree, place: Place, upload: Upload, "
        'pair: [number, string], several: (number | null)[], kind: "a" | "b", '
        "page: PageMove) => void; }"
    )
    assert interface(io, "Circle") == '{ type: "circle"; radius: number; }'
    assert interface(io, "Tree") == "{ children?: Tree[]; }"
    assert interface(io, "Place") == "[number, number?];"
    assert interface(io, "PageMove") == "{ rows: Move[]; }"
    assert (
        interface(io, "Upload") == "{ name: string; data: Binary; tags?: Record<string, number>; }"
    )
    assert interface(io, "Binary") == "ArrayBuffer | ArrayBufferView;"


@pytest.mark.parametrize("base", [Flag, IntFlag])
def test_flags_are_numbers(base: Any) -> None:
    def grant(socket: Socket, rights: Any) -> None: ...

    grant.__annotations__["rights"] = base("Rights", ["READ", "WRITE"])
    io = SocketServer()
    io.on("grant", grant)
    assert interface(io, "Rights") == "number;"


def test_keys_that_are_not_identifiers_are_quoted() -> None:
    io = SocketServer()

    @io.on("x")
    def handler(socket: Socket, answer: Answer) -> None: ...

    assert interface(io, "Answer") == '{ from: string; at?: string; "is-new": boolean; }'


def test_declared_events_are_those_of_the_server() -> None:
    io = SocketServer()

    @server_event("task:moved")
    def task_moved(move: Move) -> None:
        """Report a moved task."""

    @server_event("confirm")
    def confirm(question: str) -> bool:
        raise NotImplementedError

    io.declare(task_moved, confirm)
    assert interface(io, "ServerToClientEvents") == (
        "{ confirm: (question: string, ack: (answer: boolean) => void) => void; "
        '/** Report a moved task. */ "task:moved": (move: Move) => void; }'
    )
    assert "column: string" in interface(io, "Move"), "a sent struct has all its fields"


def test_documented_type_replaces_that_of_the_annotation() -> None:
    io = SocketServer()

    @io.on("x")
    def handler(
        socket: Socket,
        move: Annotated[Any, DocumentedAs(Move)] = None,
        more: Annotated[Any, DocumentedAs(str, optional=True)] = None,
    ) -> Annotated[dict[str, Any], DocumentedAs(Answer)]:
        raise NotImplementedError

    assert "[move: Move, more: string, ack: (answer: Answer | Refusal) => void]" in text(io)
    assert "[move: Move, ack: (answer: Answer | Refusal) => void]" in text(io)


def test_namespaces_have_interfaces_with_their_name() -> None:
    io = SocketServer()
    for name in ("/live-board", "/live/board", "/1", "/чат", "/€"):
        io.of(name).on("x", lambda socket: None)
    io.of(re.compile(r"/org-\d+")).on("y", lambda socket: None)
    assert re.findall(r"interface (\w*)ClientToServerEvents", text(io)) == [
        "Namespace1", "LiveBoard", "LiveBoard2", "Org", "Чат", "",
    ]  # fmt: skip


def test_type_with_the_name_of_binary_data_is_numbered() -> None:
    binary = msgspec.defstruct("Binary", [("x", bytes)])
    io = SocketServer()

    def handler(socket, a): ...

    handler.__annotations__ = {"a": binary}
    io.on("x", handler)
    assert interface(io, "Binary2") == "{ x: Binary; }"


def test_return_type_of_error_ack_is_the_refusal() -> None:
    def error_ack(error: BaseException) -> Problem:
        return {"problem": str(error)}

    io = SocketServer(error_ack=error_ack)

    @io.on("x")
    def handler(socket: Socket) -> int:
        return 1

    assert "x: (ack: (answer: number | Problem) => void) => void;" in text(io)


def test_types_of_one_name_are_numbered() -> None:
    first = type("Move", (msgspec.Struct,), {"__annotations__": {"x": int}})
    second = type("Move", (msgspec.Struct,), {"__annotations__": {"y": int}})
    io = SocketServer()

    def handler(socket, a, b): ...

    handler.__annotations__ = {"a": first, "b": second}
    io.on("x", handler)
    assert interface(io, "Move") == "{ x: number; }"
    assert interface(io, "Move2") == "{ y: number; }"


def test_type_without_a_schema_is_refused_with_its_name() -> None:
    io = SocketServer()

    @io.on("x")
    def handler(socket: Socket) -> complex:
        return 1j

    with pytest.raises(TypeError, match=r"event 'x'.*complex.* has no JSON Schema: use a datacl"):
        io.typescript()
