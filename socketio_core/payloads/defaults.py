"""Stores the defaults of received dataclasses in their objects.

msgspec 0.22 creates the object of a dataclass without its constructor, and does not store a plain
default of a missing field: `value.field` finds it in the class. msgspec and orjson encode only the
stored attributes, so that the field would be missing in an ack or a broadcast of the object.

The encoders have no hook for dataclasses, so that the defaults are stored when the object is
received. A plan, which is made from the annotation at registration, leads to the dataclasses:
values of other types, such as those of a `list[int]`, are not visited.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections import abc
from collections.abc import Iterable
from typing import Annotated, Any, Final, NamedTuple, TypeAlias, get_args, get_origin

from msgspec import Struct, convert

from socketio_core.payloads.fields import is_object_type, is_typed_dict, read_fields
from socketio_core.payloads.walk import parts_of

#: The classes of the objects that msgspec creates for these annotations.
_COLLECTIONS: Final[dict[Any, type]] = {
    **{kind: kind for kind in (list, set, frozenset, tuple, dict)},
    **dict.fromkeys((abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable), list),
    **dict.fromkeys((abc.Set, abc.MutableSet), set),
    **dict.fromkeys((abc.Mapping, abc.MutableMapping), dict),
}


class Step:
    """The visit of a value of one class: the parts to visit, and the defaults to store.

    `parts` has a plan for each field, key or position that is visited, `items` is the plan of the
    elements of a collection; `defaults` are the fields with a default that msgspec does not store.
    """

    __slots__ = ("defaults", "fields", "is_object", "items", "parts")

    def __init__(self) -> None:
        self.is_object = False
        self.fields: tuple[str, ...] = ()
        self.defaults: frozenset[str] = frozenset()
        self.parts: dict[Any, Plan] = {}
        self.items: Plan = {}

    def plans(self) -> Iterable[Plan]:
        """Return the plans of the parts."""
        return [*self.parts.values(), self.items]


#: The step for the class of a value; a value of another class is not visited.
Plan: TypeAlias = dict[type, Step]


class DataclassType(NamedTuple):
    """A type with a part whose defaults msgspec does not store; `plan` leads to these parts."""

    annotation: Any
    plan: Plan

    def convert(self, value: Any) -> Any:
        """Return the value as an object of the type. Raises ValidationError of msgspec."""
        found = convert(value, self.annotation, str_keys=True)
        store_defaults(found, self.plan)
        return found


def plan_defaults(annotation: Any) -> Plan:
    """Return the plan for the values of a type, which is empty if msgspec stores all defaults."""
    steps: list[Step] = []
    plan = _plan(annotation, {}, steps)
    useful = {step for step in steps if step.defaults}
    count = 0
    while count != len(useful):
        count = len(useful)
        useful |= {s for s in steps if any(not useful.isdisjoint(p.values()) for p in s.plans())}
    for each in [plan, *(part for step in steps for part in step.plans())]:
        for kind in [kind for kind, step in each.items() if step not in useful]:
            del each[kind]
    for step in steps:
        step.parts = {key: part for key, part in step.parts.items() if part}
    return plan


def store_defaults(value: Any, plan: Plan) -> None:
    """Store the missing defaults of the dataclasses to which a plan leads."""
    seen: set[int] = set()  # `__post_init__` may connect objects to a cycle
    pending = [(value, plan)]
    while pending:
        each, plan = pending.pop()
        step = plan.get(type(each))
        if step is None:
            continue
        if step.is_object:
            if id(each) in seen:
                continue
            seen.add(id(each))
            if step.defaults:
                _complete(each, step)
            pending += [(getattr(each, name, None), part) for name, part in step.parts.items()]
        elif step.items:
            items = step.items
            pending += [(item, items) for item in (each.values() if type(each) is dict else each)]
        elif type(each) is dict:
            pending += [(each[key], part) for key, part in step.parts.items() if key in each]
        else:
            pending += [(each[index], part) for index, part in step.parts.items()]


def _complete(value: Any, step: Step) -> None:
    stored = vars(value)
    if step.defaults <= stored.keys():
        return
    # In the order of the fields, which is that of the encoded object.
    content = {
        name: getattr(value, name)
        for name in step.fields
        if name in stored or name in step.defaults
    }
    content |= stored
    stored.clear()
    stored.update(content)


def _plan(annotation: Any, known: dict[Any, Step], steps: list[Step]) -> Plan:
    """Return the plan of a type; `known` are the steps of object types, which may be recursive."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if is_object_type(annotation):
        kind = dict if is_typed_dict(origin or annotation) else origin or annotation
        if annotation not in known:
            known[annotation] = step = _add_step(steps)
            _read_object(annotation, step, known, steps)
        return {kind: known[annotation]}
    if origin in _COLLECTIONS and origin is not Annotated:
        step = _add_step(steps)
        if origin is tuple and Ellipsis not in arguments:
            step.parts = {i: _plan(each, known, steps) for i, each in enumerate(arguments)}
        elif arguments:
            # The values of a mapping, the elements of another collection.
            step.items = _plan(arguments[0 if origin is tuple else -1], known, steps)
        return {_COLLECTIONS[origin]: step}
    plan: Plan = {}
    for each in parts_of(annotation):
        # msgspec refuses unions in which two types have one class, except for equal parts.
        plan |= _plan(each, known, steps)
    return plan


def _add_step(steps: list[Step]) -> Step:
    steps.append(Step())
    return steps[-1]


def _read_object(annotation: Any, step: Step, known: dict[Any, Step], steps: list[Step]) -> None:
    kind: type = get_origin(annotation) or annotation
    types = read_fields(annotation).fields
    # The fields of a struct have their names on the wire.
    names = kind.__struct_fields__ if issubclass(kind, Struct) else [each.name for each in types]
    step.is_object = not is_typed_dict(kind)
    step.parts = {
        name: _plan(each.type, known, steps) for name, each in zip(names, types, strict=True)
    }
    if dataclasses.is_dataclass(kind) and getattr(kind, "__dictoffset__", 0) != 0:
        step.fields = tuple(names)
        step.defaults = frozenset(
            each.name for each in dataclasses.fields(kind) if _is_left_to_class(kind, each)
        )


def _is_left_to_class(kind: Any, field: dataclasses.Field[Any]) -> bool:
    """Return whether a plain default is an attribute of the class, and not a slot."""
    attribute = inspect.getattr_static(kind, field.name, None)
    return field.default is not dataclasses.MISSING and not hasattr(type(attribute), "__set__")
