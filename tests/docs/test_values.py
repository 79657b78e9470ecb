"""docs/values.md describes the conversion of each value by both parsers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import orjson
import pytest

from socketio_core import JsonParser, MsgpackParser
from tests.docs.tables import read_rows


@dataclass
class Point:
    """The dataclass of the table."""

    x: int


class Move(msgspec.Struct):
    """The struct of the table."""

    x: int


class Color(Enum):
    """The enumeration of the table."""

    RED = "red"


NAMES: dict[str, Any] = {
    "Color": Color, "Decimal": Decimal, "Move": Move, "Point": Point, "UTC": UTC, "UUID": UUID,
    "date": date, "datetime": datetime, "time": time, "timedelta": timedelta, "timezone": timezone,
}  # fmt: skip
ROWS = read_rows("values.md")


def value_of(cell: str) -> Any:
    return eval(cell.strip("`"), dict(NAMES))


def test_table_has_rows() -> None:
    assert len(ROWS) > 30
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_json_parser_converts_the_value_as_documented(row: list[str]) -> None:
    value = value_of(row[0])
    data = ["x", value]
    if "Error: " in row[1]:
        error, _, remedy = row[1].partition(": ")
        with pytest.raises({"TypeError": TypeError, "ValueError": ValueError}[error]) as caught:
            JsonParser().encode_event("/", data)
        assert remedy in str(caught.value)
        return
    text, *attachments = JsonParser().encode_event("/", data)
    expected = row[1].split("`")[1]
    prefix = "451-" if attachments else "42"
    assert text.payload.decode() == f'{prefix}["x",{expected}]'
    assert ("attachment" in row[1]) == bool(attachments)
    assert [each.payload for each in attachments] == [b"12"][: len(attachments)]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_msgpack_parser_converts_the_value_as_documented(row: list[str]) -> None:
    value = value_of(row[0])
    parser = MsgpackParser()
    if "Error: " in row[1]:
        error, _, remedy = row[1].partition(": ")
        with pytest.raises({"TypeError": TypeError, "ValueError": ValueError}[error]) as caught:
            parser.encode_event("/", ["x", value])
        assert remedy in str(caught.value)
        return
    (message,) = parser.encode_event("/", ["x", value])
    packet = parser.decoder().receive_binary(message.payload)
    assert packet is not None
    received = packet[2][1]
    if row[2] == "Date":
        assert received == value
        assert received.utcoffset() == timedelta(0)
    elif row[2] == "bytes":
        assert received == b"12"
    else:
        assert row[2] == "same"
        assert received == orjson.loads(row[1].split("`")[1])
