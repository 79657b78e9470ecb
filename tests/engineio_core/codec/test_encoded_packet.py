"""EncodedPacket: one encoding per form, for any number of sessions."""

from __future__ import annotations

import pytest

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.packet import MESSAGE, MESSAGE_PREFIX


def test_message_prefix_is_the_type_digit_of_a_message() -> None:
    assert MESSAGE_PREFIX == MESSAGE.encode() == b"4"
    assert EncodedPacket.message("hi").payload == MESSAGE_PREFIX + b"hi"


@pytest.mark.parametrize("message", [b"", b"\x00" * 200, bytearray(b"abc"), memoryview(b"abc")])
def test_binary_packet_is_encoded_once_per_form(
    message: bytes | bytearray | memoryview,
) -> None:
    packet = EncodedPacket.message(message)
    assert packet.made_frame is None
    assert packet.frame is packet.frame
    assert packet.made_frame is packet.frame
    assert packet.polling is packet.polling
    assert packet.polling.startswith(b"b")


def test_repr_shows_the_beginning_of_the_payload() -> None:
    assert repr(EncodedPacket(b"4" + b"x" * 100)) == (
        "EncodedPacket(b'4" + "x" * 39 + "', is_binary=False)"
    )
