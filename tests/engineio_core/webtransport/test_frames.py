"""The frames of WebTransport: headers, limits, and any division into chunks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.webtransport.frames import PacketReader, encode_header

MAX_SIZE = 100_000


def read(chunks: list[bytes], max_size: int = MAX_SIZE) -> list[tuple[bool, bytes]]:
    reader = PacketReader(max_size)
    packets = []
    for chunk in chunks:
        reader.feed(chunk)
        while (packet := reader.next_packet()) is not None:
            packets.append(packet)
    return packets


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (1, "01"), (124, "7c"), (125, "7d"), (126, "7e007e"), (65535, "7effff"),
        (65536, "7f0000000000010000"),
    ],
)  # fmt: skip
def test_header_has_the_bytes_of_node(length: int, header: str) -> None:
    text = bytes.fromhex(header)
    assert encode_header(length, False) == text
    assert encode_header(length, True) == bytes((text[0] | 0x80,)) + text[1:]


@given(
    st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=300)), max_size=8),
    st.lists(st.integers(1, 400), max_size=40),
)
def test_packets_are_the_same_for_any_chunks(
    packets: list[tuple[bool, bytes]], sizes: list[int]
) -> None:
    data = b"".join(encode_header(len(each), is_binary) + each for is_binary, each in packets)
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    assert read([*chunks, data]) == packets


def test_packet_of_70000_bytes_arrives_byte_by_byte() -> None:
    payload = bytes(range(250)) * 280
    data = encode_header(len(payload), True) + payload
    assert read([data[index : index + 1] for index in range(len(data))]) == [(True, payload)]


class CountingBuffer(bytearray):
    """A buffer that counts the operations whose time depends on its length."""

    expensive = 0

    def __getitem__(self, key: Any) -> Any:
        self.expensive += isinstance(key, slice)
        return super().__getitem__(key)

    def __delitem__(self, key: Any) -> None:
        self.expensive += 1
        super().__delitem__(key)


def test_reading_byte_by_byte_does_not_copy_the_buffer_for_each_byte() -> None:
    reader = PacketReader(MAX_SIZE)
    buffer = reader._buffer = CountingBuffer()
    for byte in encode_header(5_000, True) + bytes(5_000):
        assert reader.next_packet() is None
        reader.feed(bytes((byte,)))
    assert reader.next_packet() == (True, bytes(5_000))
    assert reader._buffer is buffer
    assert 0 < buffer.expensive <= 4


def test_many_packets_of_one_chunk_do_not_copy_the_rest_for_each_packet() -> None:
    reader = PacketReader(MAX_SIZE)
    buffer = reader._buffer = CountingBuffer()
    reader.feed((encode_header(1, False) + b"2") * 5_000)
    for _ in range(5_000):
        assert reader.next_packet() == (False, b"2")
    assert reader.next_packet() is None
    assert buffer.expensive == 1


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        ("00", "must not be empty"),
        ("80", "must not be empty"),
        ("7e0000", "must not be empty"),
        ("7f0000000000000000", "must not be empty"),
        ("7f00000000000186a1", "100001 bytes exceeds"),
        ("7fffffffffffffffff", "exceeds"),
    ],
)
def test_invalid_length_is_a_parse_error_before_the_payload(header: str, rule: str) -> None:
    with pytest.raises(ProtocolError, match=rule) as raised:
        read([bytes.fromhex(header)])
    assert raised.value.reason is CloseReason.PARSE_ERROR


def test_length_above_the_integers_of_javascript_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"9007199254740992 bytes exceeds"):
        read([b"\x7f" + (2**53).to_bytes(8, "big")], max_size=2**60)


def test_packet_of_the_maximum_size_is_accepted() -> None:
    payload = bytes(MAX_SIZE)
    assert read([encode_header(MAX_SIZE, False) + payload]) == [(False, payload)]


def test_reader_releases_the_bytes_of_returned_packets() -> None:
    reader = PacketReader(MAX_SIZE)
    reader.feed(encode_header(3, False) + b"abc" + encode_header(9, False) + b"de")
    assert reader.next_packet() == (False, b"abc")
    assert reader.next_packet() is None
    assert reader.buffered_amount == 2
    assert len(reader._buffer) == 2
