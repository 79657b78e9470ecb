"""MessagePack dates outside the range of `datetime`, which are decoded to their JSON text."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pytest

from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.errors import PacketError

LATEST = 8_640_000_000_000_000


def argument(extension: bytes) -> Any:
    """Return the decoded argument of an event."""
    message = b"\x83\xa4type\x02\xa4data\x92\xa1x" + extension + b"\xa3nsp\xa1/"
    packet = MsgpackParser().decoder().receive_binary(message)
    assert packet is not None
    return packet[2][1]


def date(milliseconds: int) -> bytes:
    """Return a Date as notepack writes it."""
    return b"\xd7\x00" + milliseconds.to_bytes(8, "big", signed=True)


def timestamp(seconds: int, nanoseconds: int = 0) -> bytes:
    """Return a Timestamp of the MessagePack specification in its longest form."""
    return b"\xc7\x0c\xff" + struct.pack(">Iq", nanoseconds, seconds)


# Each text is the result of `JSON.stringify(new Date(milliseconds))` on Node 20.
@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
        (253_402_300_800_001, "+010000-01-01T00:00:00.001Z"),
        (LATEST, "+275760-09-13T00:00:00.000Z"),
        (-62_135_596_800_001, "0000-12-31T23:59:59.999Z"),
        (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
        (-LATEST, "-271821-04-20T00:00:00.000Z"),
    ],
)
def test_date_outside_the_range_of_datetime_is_decoded_to_its_json_text(
    milliseconds: int, text: str
) -> None:
    assert argument(date(milliseconds)) == text
    assert argument(b"\x91" + date(milliseconds)) == [text]
    seconds, rest = divmod(milliseconds, 1000)
    assert argument(timestamp(seconds, rest * 1_000_000)) == text
    assert argument(b"\x81\xa1a" + timestamp(seconds, rest * 1_000_000)) == {"a": text}


@pytest.mark.parametrize("milliseconds", [LATEST + 1, -LATEST - 1, 2**63 - 1, -(2**63)])
def test_invalid_date_is_decoded_to_none_as_in_json(milliseconds: int) -> None:
    assert argument(date(milliseconds)) is None


def test_timestamp_keeps_its_microseconds_next_to_a_later_date() -> None:
    both = argument(b"\x92" + timestamp(1, 2_000) + timestamp(253_402_300_800))
    assert both == [datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC), "+010000-01-01T00:00:00.000Z"]


@pytest.mark.parametrize(
    "extension",
    [
        timestamp(253_402_300_800, 2 * 10**9),
        b"\x92" + timestamp(253_402_300_800) + b"\xa1\xff",
        b"\x92" + timestamp(253_402_300_800) + b"\xc4\xff" + bytes([0]) * 70_000,
    ],
    ids=["nanoseconds", "invalid text", "long and truncated"],
)
def test_timestamp_in_an_invalid_packet_is_refused(extension: bytes) -> None:
    with pytest.raises(PacketError) as caught:
        argument(extension)
    assert caught.value.slug == "invalid_payload"


@pytest.mark.parametrize("length", range(3, 15))
def test_truncated_timestamp_is_refused(length: int) -> None:
    with pytest.raises(PacketError):
        MsgpackParser().decoder().receive_binary(timestamp(0)[:length])
