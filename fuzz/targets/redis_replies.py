"""Replies of Redis (RESP2)."""

from __future__ import annotations

from typing import Any

from fuzz.pieces import divide
from fuzz.target import Target
from socketio_core.adapters.redis.replies import InvalidReplyError, ReplyError, ReplyReader


def read(pieces: list[bytes]) -> tuple[list[Any], bool]:
    """Return the replies, and whether the bytes are valid."""
    reader = ReplyReader()
    replies: list[Any] = []
    for piece in pieces:
        try:
            replies += reader.feed(piece)
        except InvalidReplyError:
            return replies, False
    return replies, True


def encode(reply: Any) -> bytes:
    """Return the bytes of a reply."""
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    return b"$-1\r\n" if reply is None else b"-error\r\n"


def describe(reply: Any) -> Any:
    """Return a reply that can be compared: errors by their class."""
    if isinstance(reply, list):
        return [describe(each) for each in reply]
    return ReplyError if isinstance(reply, ReplyError) else reply


def run(data: bytes) -> None:
    """Compare one piece with many; encode the replies and read them again."""
    replies, is_valid = read([data])
    found, is_valid_too = read(divide(data))
    assert is_valid == is_valid_too
    if is_valid:
        # Replies before an invalid one are delivered only if they arrive in an earlier piece.
        assert describe(found) == describe(replies)
        again, _ = read([b"".join(map(encode, replies))])
        assert describe(again) == describe(replies)


TARGET = Target(
    "replies of Redis (RESP2); divided and in one piece",
    lambda: (
        b"+OK\r\n:12\r\n-ERR x\r\n$-1\r\n*-1\r\n", b"$5\r\nhello\r\n$0\r\n\r\n",
        b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n\x93\x01\x02\x03\r\n",
        b"*2\r\n*1\r\n:1\r\n*2\r\n+a\r\n$1\r\nb\r\n", b"*0\r\n", b"*1\r\n" * 9 + b":1\r\n",
        b"*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$2\r\nab\r\n$1\r\n1\r\n",
    ),
    run,
    (b"\r\n", b"*2\r\n", b"$1\r\n", b"$-1\r\n", b":", b"+", b"-", b"*9999999\r\n",
     b"$99999999999\r\n",
     b" ", b"_"),
    longest=300,
)  # fmt: skip
