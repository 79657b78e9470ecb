"""Plain values as JSON text, with bytes as Node's `Buffer` writes them."""

from __future__ import annotations

import pytest

from socketio_core.codec.json_codec import dump_json_with_buffers


def test_bytes_are_written_as_node_writes_a_buffer() -> None:
    assert dump_json_with_buffers([b"\x00\xff"]) == b'[{"type":"Buffer","data":[0,255]}]'


def test_integer_beyond_64_bits_raises() -> None:
    with pytest.raises(ValueError, match="must fit into 64 bits"):
        dump_json_with_buffers({"n": 2**70, "b": b"\x01"})


def test_value_that_is_not_plain_raises() -> None:
    with pytest.raises(TypeError):
        dump_json_with_buffers({"x": object()})
