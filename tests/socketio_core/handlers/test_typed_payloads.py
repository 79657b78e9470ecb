"""Typed payloads: invalid arguments do not reach the handler."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from socketio_core import Socket, SocketServer
from socketio_core.testing import TestServer

if TYPE_CHECKING:
    from decimal import Decimal


class Move(msgspec.Struct):
    project: int
    to: str = "top"
    tags: list[str] = []


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    name: str


@dataclass
class Point:
    x: int
    y: int = 0


class Range(TypedDict):
    start: int
    end: int


class Color(Enum):
    RED = "red"


async def call(handler: Callable[..., Any], *args: Any) -> Any:
    io = SocketServer()
    io.on("x", handler)
    async with TestServer(io) as server:
        client = await server.connect()
        return await client.emit_with_ack("x", *args)


def takes_struct(socket: Socket, payload: Move) -> Any:
    assert isinstance(payload, Move)
    return payload


def takes_dataclass(socket: Socket, point: Point) -> Any:
    assert isinstance(point, Point)
    return [point.x, point.y]


def takes_dict(socket: Socket, bounds: Range) -> Any:
    return bounds["end"]


def takes_builtin(socket: Socket, number: int, text: str, flag: bool, many: list[int]) -> Any:
    return [number, text, flag, many]


def takes_bytes(socket: Socket, data: bytes) -> Any:
    return data


def takes_optional(socket: Socket, text: str | None, number: int = 7) -> Any:
    return [text, number]


def takes_union(socket: Socket, pet: Cat | Dog) -> Any:
    return type(pet).__name__


def takes_literal(socket: Socket, role: Literal["admin", "user"], color: Color) -> Any:
    return [role, color.name]


def takes_rest(socket: Socket, first: str, *numbers: int) -> Any:
    return [first, sum(numbers)]


def takes_limits(socket: Socket, percent: Annotated[int, msgspec.Meta(ge=0, le=100)]) -> Any:
    return percent


def takes_time(socket: Socket, when: datetime) -> Any:
    return when.year


def takes_anything(socket: Socket, value: Any, other: object, third: dict[str, Any]) -> Any:
    return [value, other, third]


VALID: list[tuple[Callable[..., Any], list[Any], Any]] = [
    (takes_struct, [{"project": 7}], {"project": 7, "to": "top", "tags": []}),
    (takes_struct, [{"project": 7, "extra": 1}], {"project": 7, "to": "top", "tags": []}),
    (takes_dataclass, [{"x": 1}], [1, 0]),
    (takes_dict, [{"start": 1, "end": 2}], 2),
    (takes_builtin, [1, "a", True, [1]], [1, "a", True, [1]]),
    (takes_bytes, [b"\x01"], b"\x01"),
    (takes_optional, [None], [None, 7]),
    (takes_optional, ["a", 1], ["a", 1]),
    (takes_union, [{"type": "dog", "name": "Rex"}], "Dog"),
    (takes_literal, ["admin", "red"], ["admin", "RED"]),
    (takes_rest, ["a", 1, 2, 3], ["a", 6]),
    (takes_rest, ["a"], ["a", 0]),
    (takes_limits, [100], 100),
    (takes_time, ["2026-01-02T03:04:05Z"], 2026),
    (takes_anything, [[1], None, {"a": b"x"}], [[1], None, {"a": b"x"}]),
]

INVALID: list[tuple[Callable[..., Any], list[Any], str]] = [
    (takes_struct, [{"project": "seven"}], "payload.project"),
    (takes_struct, [{}], "payload.project"),
    (takes_struct, [{"project": 1, "tags": ["a", 2]}], "payload.tags[1]"),
    (takes_struct, [None], "payload"),
    (takes_dataclass, [{"x": 1, "y": "2"}], "point.y"),
    (takes_dict, [{"start": 1}], "bounds.end"),
    (takes_builtin, [1, "a", 1, [1]], "flag"),
    (takes_builtin, ["1", "a", True, [1]], "number"),
    (takes_builtin, [1, "a", True, [1, "x"]], "many[1]"),
    (takes_bytes, [{"_placeholder": True}], "data"),
    (takes_optional, [1], "text"),
    (takes_union, [{"type": "cow"}], "pet.type"),
    (takes_literal, ["root", "red"], "role"),
    (takes_rest, ["a", 1, "2"], "numbers"),
    (takes_limits, [101], "percent"),
]


@pytest.mark.parametrize(("handler", "args", "expected"), VALID)
async def test_valid_payload_reaches_the_handler_as_its_type(
    handler: Callable[..., Any], args: list[Any], expected: Any
) -> None:
    assert await call(handler, *args) == expected


@pytest.mark.parametrize(("handler", "args", "path"), INVALID)
async def test_invalid_payload_receives_an_error_with_the_path_of_the_field(
    handler: Callable[..., Any], args: list[Any], path: str
) -> None:
    response = await call(handler, *args)
    assert response["success"] is False
    assert response["code"] == "VALIDATION_ERROR"
    (field,) = response["fields"]
    assert field["path"] == path
    assert response["error"] == f"{path}: {field['message']}"


async def test_missing_arguments_are_named_in_the_error() -> None:
    response = await call(takes_builtin, 1, "a")
    assert response["error"] == "missing arguments: 'flag', 'many'"
    assert [each["path"] for each in response["fields"]] == ["flag", "many"]


async def test_invalid_payload_is_reported_when_no_ack_is_requested() -> None:
    io = SocketServer()
    errors: list[tuple[str, str]] = []
    io.on_error(lambda error, socket, event: errors.append((type(error).__name__, event)))
    io.on("x", takes_struct)
    async with TestServer(io) as server:
        client = await server.connect()
        client.emit("x", "nonsense")
        assert client.connected
    assert errors == [("PayloadValidationError", "x")]


async def test_payload_of_a_method_partial_or_callable_object_is_checked() -> None:
    class Board:
        def move(self, socket: Socket, payload: Move) -> Any:
            return payload.project

        async def __call__(self, socket: Socket, payload: Move) -> Any:
            return payload.project

    def with_extra(extra: str, socket: Socket, payload: Move) -> Any:
        return payload.project

    for handler in (Board().move, Board(), functools.partial(with_extra, "extra")):
        assert await call(handler, {"project": 3}) == 3
        assert (await call(handler, {"project": "3"}))["code"] == "VALIDATION_ERROR"


async def test_payload_of_a_decorated_handler_is_checked_by_the_wrapped_function() -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    @logged
    async def move(socket: Socket, payload: Move) -> Any:
        return payload.project

    assert await call(move, {"project": 3}) == 3
    assert (await call(move, {}))["code"] == "VALIDATION_ERROR"


async def test_type_of_the_enclosing_function_is_resolved() -> None:
    class Local(msgspec.Struct):
        a: int

    def handler(socket: Socket, payload: Local) -> Any:
        assert isinstance(payload, Local)
        return payload.a

    assert await call(handler, {"a": 1}) == 1


def test_type_that_only_the_type_checker_imports_is_refused_at_registration() -> None:
    def handler(socket: Socket, amount: Decimal) -> None:
        pass

    with pytest.raises(TypeError, match=r"the type of 'amount' cannot be resolved .*TYPE_CHECKING"):
        SocketServer().on("x", handler)


class Custom:
    pass


class Untagged(msgspec.Struct):
    a: int


class UntaggedToo(msgspec.Struct):
    b: int


@pytest.mark.parametrize("kind", [Custom, list[Custom], dict[str, Custom], Untagged | UntaggedToo])
def test_type_that_cannot_be_checked_is_refused_at_registration(kind: Any) -> None:
    def handler(socket: Socket, payload: Any) -> None:
        pass

    handler.__annotations__["payload"] = kind
    with pytest.raises(TypeError, match="payloads cannot be checked against") as refused:
        SocketServer().on("x", handler)
    assert "\n" not in str(refused.value)
    assert ": use a dataclass" in str(refused.value)


async def test_keys_of_json_objects_are_converted_to_the_type_of_the_keys() -> None:
    io = SocketServer()

    @io.on("counts")
    def total(socket: Socket, counts: dict[int, int]) -> int:
        return sum(key * value for key, value in counts.items())

    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("counts", {"2": 3, "10": 1}) == 16
        assert (await client.emit_with_ack("counts", {"a": 3}))["code"] == "VALIDATION_ERROR"


def test_second_socket_parameter_is_refused() -> None:
    def typed(first: Socket, second: Socket) -> None:
        pass

    def swapped(order: Any, socket: Socket) -> None:
        pass

    for function in (typed, swapped, lambda order, socket: None):
        with pytest.raises(TypeError, match=r"first parameter only, .*: move it to the front"):
            SocketServer().on("x", function)


@pytest.mark.parametrize("function", [
    lambda socket, data, callback: None, lambda socket, ack: None, lambda socket, cb=None: None,
])  # fmt: skip
def test_callback_parameter_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match=r"must not take a callback, .*: return the value"):
        SocketServer().on("x", function)


def test_function_without_a_socket_parameter_is_refused() -> None:
    def nothing() -> None:
        pass

    def keyword(*, socket: Socket) -> None:
        pass

    for function in (nothing, keyword):
        with pytest.raises(TypeError, match="must take the socket as its first parameter"):
            SocketServer().on("x", function)


def test_function_that_requires_a_keyword_is_refused() -> None:
    def handler(socket: Socket, *, deep: bool) -> None:
        pass

    with pytest.raises(TypeError, match="must not require the keyword 'deep'"):
        SocketServer().on("x", handler)


async def test_payload_of_a_socket_handler_is_checked() -> None:
    io = SocketServer()

    def move(payload: Move) -> int:
        return payload.project

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on("x", move)

    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("x", {"project": 1}) == 1
        assert (await client.emit_with_ack("x", 1))["code"] == "VALIDATION_ERROR"


async def test_builtin_function_is_accepted_as_a_handler() -> None:
    seen: list[Any] = []
    await call(seen.append)
    assert len(seen) == 1
