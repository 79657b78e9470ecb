"""Placeholders, attachments and the plain forms of values."""

from __future__ import annotations

import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any

import msgspec
import pytest

from socketio_core.codec.attachments import (
    MAX_DEPTH,
    Attachments,
    convert_value,
    format_number,
    reconstruct,
    to_plain,
)
from socketio_core.errors import PacketError

PLACEHOLDER = {"_placeholder": True, "num": 0}


class Color(Enum):
    RED = "red"


class Row(msgspec.Struct):
    id: int
    file: Any = None


@dataclass
class Point:
    x: int
    inner: Any = None


def plain(value: Any) -> Any:
    return to_plain(value, convert_value)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = {"a": value} if levels % 2 else [value]
    return value


# -- attachments


def test_attachments_are_numbered_in_the_order_of_the_data() -> None:
    collector = Attachments(10)
    tree = to_plain({"b": [b"1", {"c": bytearray(b"2")}], "a": memoryview(b"3")}, collector.convert)
    placeholders = [{"_placeholder": True, "num": number} for number in range(3)]
    assert tree == {"b": [placeholders[0], {"c": placeholders[1]}], "a": placeholders[2]}
    assert collector.found == [b"1", b"2", b"3"]


def test_binary_inside_objects_is_extracted() -> None:
    collector = Attachments(10)
    data = [Row(1, b"1"), Point(2, [b"2"]), (b"3",)]
    assert to_plain(data, collector.convert)[0] == {"id": 1, "file": PLACEHOLDER}
    assert collector.found == [b"1", b"2", b"3"]


def test_attachments_above_the_limit_are_refused() -> None:
    with pytest.raises(ValueError, match="must not carry more than 1 attachments"):
        to_plain([b"1", b"2"], Attachments(1).convert)


def test_reconstruct_replaces_placeholders_with_attachments() -> None:
    tree = ["x", PLACEHOLDER, {"a": [PLACEHOLDER], "b": {"_placeholder": True, "num": 1}}, [], {}]
    reconstruct(tree, [b"0", b"1"])
    assert tree == ["x", b"0", {"a": [b"0"], "b": b"1"}, [], {}]


def test_value_that_resembles_a_placeholder_is_unchanged() -> None:
    tree = [{"_placeholder": 1, "num": 0}, {"_placeholder": "true", "num": 0}, {"num": 0}]
    before = [dict(item) for item in tree]
    reconstruct(tree, [b"0"])
    assert tree == before


@pytest.mark.parametrize("number", [1, -1, 0.0, True, False, None, "0", "splice", [0], 2**70])
def test_placeholder_without_a_valid_index_is_refused(number: Any) -> None:
    with pytest.raises(PacketError) as caught:
        reconstruct([{"_placeholder": True, "num": number}], [b"0"])
    assert caught.value.slug == "illegal_attachments"


def test_placeholder_without_a_number_is_refused() -> None:
    with pytest.raises(PacketError):
        reconstruct([{"_placeholder": True}], [b"0"])


def test_reconstruct_accepts_any_depth() -> None:
    tree: list[Any] = [PLACEHOLDER]
    for _ in range(10_000):
        tree = [tree]
    reconstruct(tree, [b"0"])
    for _ in range(10_000):
        (tree,) = tree
    assert tree == [b"0"]


# -- plain forms


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000Z"),
        (datetime(2024, 2, 29, 12, 30, 15, 123999, tzinfo=UTC), "2024-02-29T12:30:15.123Z"),
        (datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2023-12-31T23:00:00.000Z"),
        (date(2024, 1, 1), "2024-01-01"),
        (time(1, 2, 3), "01:02:03"),
    ],
)
def test_times_are_formatted_as_in_javascript(moment: Any, text: str) -> None:
    assert plain([moment]) == [text]


@pytest.mark.parametrize("value", [datetime(2024, 1, 1), Row(1, datetime(2024, 1, 1))])
def test_datetime_without_time_zone_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"use datetime.now\(UTC\), or value.astimezone\(\)"):
        plain([value])


@pytest.mark.parametrize(("number", "text"), [
    (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-1.5, "-1.5"), (0.1, "0.1"), (123.456, "123.456"),
    (1e16, "10000000000000000"), (1e20, "100000000000000000000"), (1e21, "1e+21"),
    (1.5e300, "1.5e+300"), (0.000001, "0.000001"), (1e-7, "1e-7"), (1.25e-7, "1.25e-7"),
    (1.2345678901234567e20, "123456789012345670000"), (5e-324, "5e-324"),
    (float("nan"), "NaN"), (float("inf"), "Infinity"), (-float("inf"), "-Infinity"),
])  # fmt: skip
def test_float_keys_are_written_as_in_javascript(number: float, text: str) -> None:
    assert format_number(number) == text
    assert plain([{number: 1}]) == [{text: 1}]


def test_datetime_outside_the_calendar_of_utc_is_refused() -> None:
    with pytest.raises(ValueError, match="has no date in UTC"):
        plain(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ((1, 2), [1, 2]),
        ({1}, [1]),
        (frozenset([1]), [1]),
        (namedtuple("Pair", "a b")(1, 2), [1, 2]),
        (Color.RED, "red"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (Row(1, datetime(2024, 1, 1, tzinfo=UTC)), {"id": 1, "file": "2024-01-01T00:00:00.000Z"}),
        (Point(1, Point(2)), {"x": 1, "inner": {"x": 2, "inner": None}}),
        (OrderedDict(a=1), {"a": 1}),
        (StrEnum("Name", ["A"]).A, "a"),
        (IntEnum("Number", ["A"]).A, 1),
        (float("nan"), None),
        (True, True),
        (None, None),
    ],
)
def test_values_have_plain_forms(value: Any, form: Any) -> None:
    result = plain([value])[0]
    assert result == form
    assert type(result) is type(form)


def test_keys_become_strings() -> None:
    keys = {2: "a", 1.5: "b", None: "c", True: "d", Color.RED: "e", "\ud800": "f"}
    assert plain(keys) == {
        "2": "a",
        "1.5": "b",
        "null": "c",
        "true": "d",
        "red": "e",
        "\ud800": "f",
    }


def test_key_without_a_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="a key of type tuple cannot be sent"):
        plain({(1, 2): 3})


@pytest.mark.parametrize(
    "value", [object(), iter([]), b"1", bytearray(), Row(1, object()), Row(1, {(1,): 2})]
)
def test_value_without_a_plain_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"a value of type \w+ cannot be sent"):
        plain(value)


def test_integer_above_64_bits_inside_an_object_is_refused() -> None:
    with pytest.raises(ValueError, match="must fit into 64 bits"):
        plain(Row(2**64))


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH - 1])
def test_data_of_the_maximum_depth_is_accepted(levels: int) -> None:
    assert plain(nested(levels)) == nested(levels)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, MAX_DEPTH + 2])
def test_data_above_the_maximum_depth_is_refused(levels: int) -> None:
    with pytest.raises(ValueError, match="nested deeper than 254"):
        plain(nested(levels))


def test_circular_objects_are_refused() -> None:
    point = Point(1)
    point.inner = point
    with pytest.raises(ValueError, match="circular"):
        plain(point)


def test_copy_shares_no_container_with_the_original() -> None:
    data = {"a": [1, {"b": []}]}
    copy = plain(data)
    copy["a"][1]["b"].append(2)
    assert data == {"a": [1, {"b": []}]}
