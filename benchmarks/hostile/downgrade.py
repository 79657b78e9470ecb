"""Request smuggling by HTTP/2: requests that a proxy must not forward as HTTP/1.1 as they are.

HTTP/2 has the length of each part in its frames, so that a header value may contain a line end, and
a body may be longer than its Content-Length (RFC 9113, sections 8.1.1 and 8.2.1). A proxy that
writes such a request as HTTP/1.1 sends a second request with it. Of the proxies of
docs/deployment.md, only Caddy offers HTTP/2.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Final, NamedTuple

from benchmarks.hostile.attack import Attack, Report, Target
from benchmarks.hostile.smuggling import Backend, find_problems, target

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_STREAM: Final = 1
#: Static HPACK index of `:status: 200`, as the first byte of a block (RFC 7541, appendix A).
_STATUS_200: Final = 0x88
#: Seconds for an exchange on a busy machine.
_SECONDS: Final = 240.0
#: Seconds without a frame after which a proxy counts as waiting for the rest of a request.
_SILENCE: Final = 1.0

Field = tuple[bytes, bytes]
_SMUGGLED: Final = b"GET " + target("smuggled") + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
_SPLIT: Final = b"x\r\n\r\n" + _SMUGGLED


class Case(NamedTuple):
    """A name, header fields that are added or replace those with the same name, and a body."""

    name: str
    fields: tuple[Field, ...]
    body: bytes = b""


def _length(number: int) -> Field:
    return b"content-length", b"%d" % number


CASES: Final = (
    Case("length of 0 with a body", (_length(0),), _SMUGGLED),
    Case("length that is too short", (_length(4),), b"abcd" + _SMUGGLED),
    Case("length that is too long", (_length(1000),), _SMUGGLED),
    Case("two lengths", (_length(0), _length(len(_SMUGGLED))), _SMUGGLED),
    Case("signed length", ((b"content-length", b"+0"),), _SMUGGLED),
    Case("chunked", ((b"transfer-encoding", b"chunked"),), b"0\r\n\r\n" + _SMUGGLED),
    Case("chunked in capitals", ((b"Transfer-Encoding", b"chunked"),), b"0\r\n\r\n" + _SMUGGLED),
    Case("connection option", ((b"connection", b"content-length"), _length(0)), _SMUGGLED),
    Case("line end in a value", ((b"x-a", _SPLIT),)),
    Case("LF in a value", ((b"x-a", _SPLIT.replace(b"\r", b"")),)),
    Case("CR in a value", ((b"x-a", b"x\rtransfer-encoding: chunked"),), b"0\r\n\r\n" + _SMUGGLED),
    Case("NUL in a value", ((b"x-a", b"x\0" + _SPLIT),)),
    Case("line end in a name", ((b"x-a: x\r\n\r\n" + _SMUGGLED + b"x-b", b"x"),)),
    Case("colon in a name", ((b"transfer-encoding: chunked\r\nx-b", b"x"),), _SMUGGLED),
    Case("line end in the path", ((b":path", target("a") + b" HTTP/1.1\r\n" + _SPLIT),)),
    Case("blank in the path", ((b":path", target("a") + b" HTTP/1.1\r\nX: x"),), _SMUGGLED),
    Case("line end in the method", ((b":method", b"GET /a HTTP/1.1\r\n" + _SPLIT + b"GET"),)),
    Case("line end in the authority", ((b":authority", b"localhost\r\n" + _SPLIT),)),
    Case("line end in the scheme", ((b":scheme", b"https\r\n" + _SPLIT),)),
    Case("another host", ((b"host", b"other\r\n\r\n" + _SMUGGLED),)),
    Case("upgrade", ((b"upgrade", b"websocket"), (b"connection", b"upgrade"), _length(0)),
         _SMUGGLED),
    Case("extended CONNECT", ((b":method", b"CONNECT"), (b":protocol", b"websocket")), _SMUGGLED),
)  # fmt: skip


def _integer(value: int, bits: int) -> bytes:
    """Encode an integer of HPACK with a prefix of `bits` bits (RFC 7541, section 5.1)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([value])
    found = [limit]
    value -= limit
    while value >= 128:
        found.append(value % 128 + 128)
        value //= 128
    return bytes([*found, value])


def _block(fields: list[Field]) -> bytes:
    """Encode fields as literals without indexing (RFC 7541, section 6.2.2)."""
    return b"".join(
        b"\0" + _integer(len(name), 7) + name + _integer(len(value), 7) + value
        for name, value in fields
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def encode(case: Case) -> bytes:
    """Return the bytes of a connection with the request of a case."""
    mark = case.name.replace(" ", "-")
    method = b"POST" if case.body else b"GET"
    usual = {
        b":method": method, b":scheme": b"https", b":authority": b"localhost",
        b":path": target(mark),
    }  # fmt: skip
    added = {name for name, _ in case.fields}
    first = [field for field in usual.items() if field[0] not in added]
    pseudo = [field for field in case.fields if field[0].startswith(b":")]
    others = [field for field in case.fields if not field[0].startswith(b":")]
    headers = _frame(
        _HEADERS, _END_HEADERS | (0 if case.body else _END_STREAM), _STREAM,
        _block([*first, *pseudo, *others]),
    )  # fmt: skip
    body = _frame(_DATA, _END_STREAM, _STREAM, case.body) if case.body else b""
    return _PREFACE + _frame(_SETTINGS, 0, 0, b"") + headers + body


async def accepts(port: int, case: Case, silence: float = _SECONDS) -> bool:
    """Send a case by HTTP/2; return whether the answer has status 200.

    `silence` is the time without a frame, in seconds, after which the answer counts as missing.
    Raises ConnectionError if the proxy does not offer HTTP/2.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate of the tests, on the loopback interface
    context.set_alpn_protocols(["h2"])
    async with asyncio.timeout(_SECONDS):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            writer.transport.abort()
            raise ConnectionError("the proxy does not offer HTTP/2")
        writer.write(encode(case))
        is_accepted = False
        with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
            while True:
                head = await asyncio.wait_for(reader.readexactly(9), silence)
                payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
                kind, flags = head[3], head[4]
                if kind == _SETTINGS and not flags & _ACK:
                    writer.write(_frame(_SETTINGS, _ACK, 0, b""))
                elif kind == _HEADERS:
                    is_accepted = payload[:1] == bytes([_STATUS_200])
                if kind in {_RST_STREAM, _GOAWAY} or (
                    kind in {_HEADERS, _DATA} and flags & _END_STREAM
                ):
                    break
        writer.transport.abort()
        return is_accepted


async def run_cases(port: int, backend: Backend) -> tuple[int, dict[str, tuple[str, ...]]]:
    """Send all cases; return the number of refused ones, and the problems of the others."""
    refused, problems = 0, {}
    for case in CASES:
        backend.routed.clear()
        refused += not await accepts(port, case, _SILENCE)
        if found := await find_problems(port, backend):
            problems[case.name] = found
    return refused, problems


async def _downgrade(proxied: Target) -> Report:
    assert proxied.backend is not None, "the place of the attack is a proxy"
    refused, problems = await run_cases(proxied.port, proxied.backend)
    text = f"smuggled: {', '.join(problems)}" if problems else f"{refused} refused, 0 smuggled"
    return Report(text, not problems)


ATTACKS: Final = (
    Attack(
        "smuggling by HTTP/2, caddy", "requests that HTTP/1.1 would split", f"{len(CASES)}",
        _downgrade, "caddy", is_compared=False,
    ),
)  # fmt: skip
