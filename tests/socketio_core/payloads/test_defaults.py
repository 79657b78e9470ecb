"""Defaults of received dataclasses are sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, NamedTuple, NotRequired, TypedDict, TypeVar

import attrs
import msgspec
import pytest

from socketio_core import JsonParser, MsgpackParser, Socket, SocketServer
from socketio_core.payloads.check import resolve_check
from socketio_core.payloads.defaults import Plan, Step, plan_defaults, store_defaults
from socketio_core.testing import TestServer

Item = TypeVar("Item")


@dataclass
class Task:
    id: int
    column: str = "open"
    tags: list[str] = field(default_factory=list)
    owner: str | None = None


@dataclass(frozen=True)
class Frozen:
    x: int = 1


@dataclass(slots=True)
class Slotted:
    x: int = 1


@dataclass
class Prepared:
    x: int
    y: int = 2

    def __post_init__(self) -> None:
        self._seen = True


class Board(msgspec.Struct):
    tasks: list[Task]


@attrs.define
class Holder:
    task: Task


@dataclass
class Page(Generic[Item]):
    row: Item
    size: int = 10


TASK = {"id": 1, "column": "open", "tags": [], "owner": None}


@pytest.mark.parametrize("parser", [JsonParser, MsgpackParser])
@pytest.mark.parametrize(
    ("annotation", "sent", "answer"),
    [
        (Task, {"id": 1}, TASK),
        (Task, {"id": 1, "owner": "Ada"}, {**TASK, "owner": "Ada"}),
        (Frozen, {}, {"x": 1}),
        (Slotted, {}, {"x": 1}),
        (Prepared, {"x": 1}, {"x": 1, "y": 2}),
        (list[Task], [{"id": 1}], [TASK]),
        (dict[str, tuple[Task, ...]], {"a": [{"id": 1}]}, {"a": [TASK]}),
        (Board, {"tasks": [{"id": 1}]}, {"tasks": [TASK]}),
        (Holder, {"task": {"id": 1}}, {"task": TASK}),
        (Page[Task], {"row": {"id": 1}}, {"row": TASK, "size": 10}),
        (Task | None, None, None),
    ],
)
async def test_defaults_of_a_received_dataclass_are_in_the_ack(
    annotation: Any, sent: Any, answer: Any, parser: Any
) -> None:
    def echo(socket: Socket, payload: Any) -> Any:
        return payload

    echo.__annotations__ = {"payload": annotation}
    io = SocketServer(parser=parser())
    io.on("echo", echo)
    async with TestServer(io) as server:
        client = await server.connect()
        found = await client.emit_with_ack("echo", sent)
    assert found == answer
    if isinstance(answer, dict):
        assert list(found) == list(answer), "in the order of the fields"


async def test_invalid_dataclass_is_refused_with_its_path() -> None:
    def echo(socket: Socket, task: Task) -> None: ...

    io = SocketServer()
    io.on("echo", echo)
    async with TestServer(io) as server:
        client = await server.connect()
        refused = await client.emit_with_ack("echo", {"id": 1, "column": 2})
    assert refused["fields"] == [{"path": "task.column", "message": "Expected `str`, got `int`"}]


# -- values that are visited


class Child(msgspec.Struct, Generic[Item], rename="camel"):
    last_task: Item


class Named(NamedTuple):
    count: int
    task: Task


class Keys(TypedDict):
    task: Task
    other: NotRequired[Task]


class PlainKeys(TypedDict):
    x: int


@dataclass
class Tree:
    name: str = ""
    children: list[Tree] = field(default_factory=list)
    parent: Tree | None = None

    def __post_init__(self) -> None:
        for each in self.children:
            each.parent = self


@dataclass
class Chain:
    before: Chain | None = None
    size: int = 1


@dataclass
class Numbers:
    values: list[int]
    labels: dict[str, str]
    extra: Any = None


@dataclass(slots=True)
class Base:
    x: int = 1


@dataclass
class Derived(Base):
    y: int = 2


class CountedPlan(dict[type, Step]):
    """A plan that counts the values for which a step is looked up."""

    def __init__(self, plan: Plan, visits: list[type]) -> None:
        super().__init__(plan)
        self.visits = visits

    def get(self, kind: Any, default: Any = None) -> Any:
        self.visits.append(kind)
        return super().get(kind, default)


def count_visits(annotation: Any, sent: Any) -> Counter[type]:
    """Return the classes of the values that are visited to store the defaults of a value."""
    visits: list[type] = []
    plan = plan_defaults(annotation)
    pending, counted = [plan], set()
    while pending:
        for step in pending.pop().values():
            if step not in counted:
                counted.add(step)
                pending += step.plans()
                step.items = CountedPlan(step.items, visits) if step.items else {}
                step.parts = {key: CountedPlan(each, visits) for key, each in step.parts.items()}
    value = msgspec.convert(sent, annotation, str_keys=True)
    store_defaults(value, CountedPlan(plan, visits))
    return Counter(visits)


@pytest.mark.parametrize(
    "annotation",
    [int, Any, list[int], dict[str, Any], Slotted, list[Slotted], PlainKeys | None, Base],
)
def test_type_without_a_left_default_has_no_plan(annotation: Any) -> None:
    assert plan_defaults(annotation) == {}
    assert resolve_check(annotation) is annotation


def test_parts_without_dataclasses_are_not_visited() -> None:
    nested: Any = []
    for _ in range(900):
        nested = [nested]
    sent = {"values": list(range(1000)), "labels": {"a": "b"}, "extra": nested}
    assert count_visits(Numbers, sent) == {Numbers: 1}
    assert count_visits(Board | None, {"tasks": [{"id": 1, "tags": ["a"] * 50}] * 3}) == {
        Board: 1, list: 1, Task: 3,
    }  # fmt: skip
    assert count_visits(tuple[Task, list[int]], [{"id": 1}, [1, 2]]) == {tuple: 1, Task: 1}
    assert count_visits(Keys, {"task": {"id": 1}}) == {dict: 1, Task: 1}


def test_deep_value_of_any_is_received() -> None:
    nested: Any = []
    for _ in range(900):
        nested = [nested]
    check = resolve_check(Numbers)
    assert check.convert({"values": [], "labels": {}, "extra": nested}).extra == nested


@pytest.mark.parametrize(
    ("annotation", "sent", "answer"),
    [
        (Child[Task], {"lastTask": {"id": 1}}, {"lastTask": TASK}),
        (Named, [1, {"id": 1}], [1, TASK]),
        (tuple[int, Task], [1, {"id": 1}], [1, TASK]),
        (Sequence[Task], [{"id": 1}], [TASK]),
        (Mapping[str, Task], {"a": {"id": 1}}, {"a": TASK}),
        (Keys, {"task": {"id": 1}}, {"task": TASK}),
        (list[Task | int], [1, {"id": 1}], [1, TASK]),
        (Annotated[Task, msgspec.Meta(description="a task")], {"id": 1}, TASK),
        (frozenset[Frozen], [{}], [{"x": 1}]),
        (Derived, {}, {"x": 1, "y": 2}),
        (Chain, {"before": {"size": 3}}, {"before": {"before": None, "size": 3}, "size": 1}),
    ],
)
def test_defaults_are_stored_in_each_part(annotation: Any, sent: Any, answer: Any) -> None:
    found = resolve_check(annotation).convert(sent)
    assert msgspec.json.decode(msgspec.json.encode(found)) == answer


def test_recursive_dataclass_is_completed_at_any_depth() -> None:
    value = Chain()
    for _ in range(5000):
        value = Chain(value)
        del value.__dict__["size"]
    store_defaults(value, plan_defaults(Chain))
    depth = 0
    while value.before is not None:
        assert vars(value)["size"] == 1
        value = value.before
        depth += 1
    assert depth == 5000


def test_objects_that_refer_to_each_other_are_completed() -> None:
    first, second = Chain(), Chain()
    first.before, second.before = second, first
    del first.__dict__["size"]
    store_defaults(first, plan_defaults(Chain))
    assert vars(first)["size"] == 1


def test_tree_with_links_to_parents_is_completed() -> None:
    tree = resolve_check(Tree).convert({"children": [{"children": [{"name": "leaf"}]}]})
    assert vars(tree)["name"] == vars(tree.children[0])["name"] == ""
    assert tree.children[0].children[0].parent is tree.children[0]
