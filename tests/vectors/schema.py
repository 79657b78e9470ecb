"""Validator for the subset of JSON Schema 2020-12 that `spec-vectors/schema.json` uses.

A keyword without a check is an error, so that the schema contains no unchecked rule. The validator
has no formats and no remote references.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
IGNORED = {"$schema", "$defs", "title", "description", "contentEncoding", "then", "else"}


def find_errors(schema: dict[str, Any], value: Any, root: dict[str, Any], at: str) -> Iterator[str]:
    """Yield the violations of `schema` by a value; `at` is the place of the value."""
    for keyword, rule in schema.items():
        if keyword in IGNORED:
            continue
        check = CHECKS.get(keyword)
        if check is None:
            yield f"{at}: the schema has the keyword {keyword!r}, which has no check"
            continue
        yield from check(rule, value, schema, root, at)


def is_valid(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    return next(find_errors(schema, value, root, ""), None) is None


def _type(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    names = rule if isinstance(rule, list) else [rule]
    is_boolean = isinstance(value, bool)
    if not any(
        isinstance(value, TYPES[name]) and is_boolean == (name == "boolean") for name in names
    ):
        yield f"{at}: not of type {rule}: {value!r}"


def _reference(rule: str, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    target = root
    for part in rule.removeprefix("#/").split("/"):
        target = target[part]
    yield from find_errors(target, value, root, at)


def _properties(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key in rule.keys() & value.keys():
            yield from find_errors(rule[key], value[key], root, f"{at}.{key}")


def _additional(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key in value.keys() - schema.get("properties", {}).keys():
            if rule is False:
                yield f"{at}: {key!r} is not expected"
            else:
                yield from find_errors(rule, value[key], root, f"{at}.{key}")


def _required(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key in rule:
            if key not in value:
                yield f"{at}: {key!r} is missing"


def _items(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            name = item.get("name", number) if isinstance(item, dict) else number
            yield from find_errors(rule, item, root, f"{at}[{name}]")


def _one_of(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    count = sum(is_valid(each, value, root) for each in rule)
    if count != 1:
        yield f"{at}: must match one of the alternatives, matches {count}: {value!r}"


def _all_of(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    for each in rule:
        yield from find_errors(each, value, root, at)


def _if(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    branch = schema.get("then" if is_valid(rule, value, root) else "else", {})
    yield from find_errors(branch, value, root, at)


def _not(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if is_valid(rule, value, root):
        yield f"{at}: must not match {rule}: {value!r}"


def _simple(is_invalid: Callable[[Any, Any], bool], error: str) -> Callable[..., Iterator[str]]:
    def check(rule: Any, value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
        if is_invalid(rule, value):
            yield f"{at}: {error} {rule!r}: {value!r}"

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


CHECKS: dict[str, Callable[..., Iterator[str]]] = {
    "type": _type,
    "$ref": _reference,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "oneOf": _one_of,
    "allOf": _all_of,
    "if": _if,
    "not": _not,
    "enum": _simple(lambda rule, value: value not in rule, "not one of"),
    "const": _simple(lambda rule, value: value != rule, "not"),
    "pattern": _simple(
        lambda rule, value: isinstance(value, str) and not re.search(rule, value), "does not match"
    ),
    "minLength": _simple(
        lambda rule, value: isinstance(value, str) and len(value) < rule, "shorter than"
    ),
    "minItems": _simple(
        lambda rule, value: isinstance(value, list) and len(value) < rule, "fewer than"
    ),
    "maxItems": _simple(
        lambda rule, value: isinstance(value, list) and len(value) > rule, "more than"
    ),
    "minimum": _simple(lambda rule, value: _is_number(value) and value < rule, "below"),
    "maximum": _simple(lambda rule, value: _is_number(value) and value > rule, "above"),
    "exclusiveMinimum": _simple(lambda rule, value: _is_number(value) and value <= rule, "below"),
}
