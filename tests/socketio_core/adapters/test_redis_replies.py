"""The parser of replies of Redis."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketio_core.adapters.redis.replies import InvalidReplyError, ReplyError, ReplyReader

REPLIES = st.recursive(
    st.one_of(
        st.none(), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=40),
        st.builds(ReplyError, st.text("abc ÄÖ", max_size=10)),
    ),
    lambda items: st.lists(items, max_size=4),
    max_leaves=8,
)  # fmt: skip


def write(reply: Any) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, ReplyError):
        return b"-%b\r\n" % str(reply).encode()
    return b"*%d\r\n" % len(reply) + b"".join(map(write, reply))


def plain(reply: Any) -> Any:
    if isinstance(reply, ReplyError):
        return "error", str(reply)
    return [plain(item) for item in reply] if isinstance(reply, list) else reply


@given(st.lists(REPLIES, max_size=6), st.lists(st.integers(1, 30), max_size=40))
def test_replies_are_read_from_any_chunks(replies: list[Any], sizes: list[int]) -> None:
    data = b"".join(map(write, replies))
    reader, found = ReplyReader(), []
    for size in sizes:
        found += reader.feed(data[:size])
        data = data[size:]
    found += reader.feed(data)
    assert plain(found) == plain(replies)


def test_long_value_is_joined_once() -> None:
    reader = ReplyReader()
    value = b"x" * 1_000_000
    data = write([b"message", b"channel", value])
    found = []
    for start in range(0, len(data), 1000):
        found += reader.feed(data[start : start + 1000])
        assert len(reader._chunks) <= 1002
    assert found == [[b"message", b"channel", value]]


def test_simple_strings_and_absent_arrays_are_read() -> None:
    assert ReplyReader().feed(b"+OK\r\n*-1\r\n*0\r\n") == [b"OK", None, []]


@pytest.mark.parametrize("data", [b"%1\r\n", b"$x\r\n", b":\r\n", b"*1\r\n" * 9, b"\r\n"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidReplyError):
        ReplyReader().feed(data)
