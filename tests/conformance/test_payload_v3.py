"""Payloads of revision 3, as the kit writes and reads them."""

from __future__ import annotations

import pytest

from socketio_conformance.payload_v3 import join_packets, split_packets


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        ("2:4a1:2", ["4a", "2"]),
        ("4:4\u20ac\U0001f6002:4b", ["4\u20ac\U0001f600", "4b"]),
        ("6:41:2:3", ["41:2:3"]),
    ],
)
def test_text_payload_splits_into_packets(body: str, packets: list[str]) -> None:
    assert split_packets(body.encode()) == packets
    assert join_packets(packets) == body.encode()


def test_binary_payload_splits_into_text_and_bytes() -> None:
    body = b"\x00\x04\xff4\xe2\x82\xac\x01\x01\x00\xff\x04123456789"
    assert split_packets(body) == ["4\u20ac", b"\x04123456789"]


@pytest.mark.parametrize(
    "body", [b"4a", b"x:4a", b"9:4a", b"\x00\x04\xff4a", b"\x01\x0a\xff4", b"\x00\xff", b"\x01\x01"]
)
def test_payload_with_an_invalid_length_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="payload"):
        split_packets(body)
