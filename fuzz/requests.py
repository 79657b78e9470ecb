"""HTTP requests as seeds of several targets."""

from __future__ import annotations

_POLL = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n"
_POST = (
    b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a:80\r\n"
    b"Cookie: a=1; b=2\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: 2\r\n\r\n40"
)
_CHUNKED = (
    b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n1 \r\n \r\n0\r\nTrailer: x\r\n\r\n"
)
_ODD = (
    b"GET http://host/a?b=%20+c&d#e HTTP/1.1\r\nhost: a\r\nAccept: */*\r\naccept: x\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Value:  \xe9\xff \r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n1234567",
    b"\r\nGET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI",
)

REQUESTS = (_POLL, _POST, _CHUNKED, *_ODD, _POLL + _POST + _CHUNKED + _POLL)

TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b": ", b" ", b"\t", b"HTTP/1.1", b"HTTP/1.0", b"GET ",
    b"POST ", b"HEAD ", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n",
    b"Trailer: x\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b";", b"\x85", b"\xa0", b"*",
)  # fmt: skip
