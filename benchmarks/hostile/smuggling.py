"""Request smuggling: requests that a reverse proxy and the server behind it may split differently.

Each case contains a second request, which only a disagreement delivers: every request that a proxy
forwards has an X-Forwarded-For header, and a smuggled one has none. A disagreement in the other
direction shows in later requests, which receive the responses of others.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Final, NamedTuple

from benchmarks.hostile.attack import Attack, Place, Report, Target
from engineio_core.http.message import HttpRequest, HttpResponse
from socketio_core import SocketServer

_HOST: Final = b"Host: localhost\r\n"
#: Seconds for an exchange on a busy machine.
_SECONDS: Final = 240.0
#: Seconds without a byte after which a connection counts as waiting for the rest of a request.
_SILENCE: Final = 1.0
#: Ordinary requests after each case.
_FOLLOWERS: Final = 5


class Case(NamedTuple):
    """A name, and the bytes that a client sends."""

    name: str
    data: bytes


def target(mark: str) -> bytes:
    """Return a request target that the server answers with the mark."""
    return b"/socket.io/?mark=" + mark.encode()


def _post(name: str, headers: bytes, body: bytes) -> Case:
    """Return a POST request with these lines and a body, whose target contains the name."""
    mark = name.replace(" ", "-")
    return Case(name, b"POST " + target(mark) + b" HTTP/1.1\r\n" + _HOST + headers + b"\r\n" + body)


_SMUGGLED: Final = b"GET " + target("smuggled") + b" HTTP/1.1\r\n" + _HOST + b"X-A: "
_HIDDEN: Final = b"0\r\n\r\n" + _SMUGGLED
_LENGTH: Final = b"Content-Length: %d\r\n" % len(_HIDDEN)
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_IN_A_CHUNK: Final = b"%x\r\n%b\r\n\r\n\r\n0\r\n\r\n" % (len(_SMUGGLED) + 4, _SMUGGLED)
_WHOLE: Final = _SMUGGLED + b"y\r\n\r\n"

CASES: Final = (
    _post("length before chunked", _LENGTH + _CHUNKED, _HIDDEN),
    _post("chunked before length", _CHUNKED + _LENGTH, _HIDDEN),
    _post("short length and chunked", b"Content-Length: 4\r\n" + _CHUNKED, _IN_A_CHUNK),
    _post("unknown coding", _LENGTH + b"Transfer-Encoding: xchunked\r\n", _HIDDEN),
    _post("two codings", _LENGTH + _CHUNKED + b"Transfer-Encoding: identity\r\n", _HIDDEN),
    _post("list of codings", _LENGTH + b"Transfer-Encoding: identity, chunked\r\n", _HIDDEN),
    _post("blank before the colon", _LENGTH + b"Transfer-Encoding : chunked\r\n", _HIDDEN),
    _post("tab before the value", _LENGTH + b"Transfer-Encoding:\tchunked\r\n", _HIDDEN),
    _post("control behind the value", _LENGTH + b"Transfer-Encoding: chunked\x0b\r\n", _HIDDEN),
    _post("control in the name", _LENGTH + b"Transfer-Encoding\x00: chunked\r\n", _HIDDEN),
    _post("folded coding", _LENGTH + b"Transfer-Encoding:\r\n chunked\r\n", _HIDDEN),
    _post("folded header", _LENGTH + b"X-A: b\r\n " + _CHUNKED, _HIDDEN),
    _post("LF within a header", _LENGTH + b"X-A: b\n" + _CHUNKED, _HIDDEN),
    _post("CR within a header", _LENGTH + b"X-A: b\r" + _CHUNKED, _HIDDEN),
    _post("two lengths", _LENGTH + b"Content-Length: 0\r\n", _WHOLE),
    _post("two lengths, the short one first", b"Content-Length: 0\r\n" + _LENGTH, _WHOLE),
    _post("list of lengths", b"Content-Length: 0, %d\r\n" % len(_WHOLE), _WHOLE),
    _post("signed length", b"Content-Length: +%d\r\n" % len(_WHOLE), _WHOLE),
    _post("folded length", b"Content-Length:\r\n %d\r\n" % len(_WHOLE), _WHOLE),
    _post("length with a blank", b"Content-Length: 0 %d\r\n" % len(_WHOLE), _WHOLE),
    _post("LF behind a chunk size", _CHUNKED, b"2;\nxx\r\n" + _HIDDEN),
    _post("LF in a chunk extension", _CHUNKED, b"2;a=\nxx\r\n%x\r\n0\r\n\r\n" % 80 + _WHOLE),
    _post("CR in a chunk extension", _CHUNKED, b"2;a\rb\r\nxx\r\n" + _HIDDEN),
    _post("quoted line end in a chunk extension", _CHUNKED, b'2;a="\r\n"\r\nxx\r\n' + _HIDDEN),
    _post("chunk without its line end", _CHUNKED, b"2\r\nxxXX" + _HIDDEN),
    _post("chunk size in hex notation", _CHUNKED, b"0x2\r\nxx\r\n" + _HIDDEN),
    _post("chunk size of 17 digits", _CHUNKED, b"10000000000000002\r\nxx\r\n" + _HIDDEN),
    _post("negative chunk size", _CHUNKED, b"-1\r\nxx\r\n" + _HIDDEN),
    _post("trailers", _CHUNKED, b"0\r\nContent-Length: 50\r\nHost: other\r\n\r\n"),
    Case("HTTP/1.0 with chunked", b"POST " + target("old") + b" HTTP/1.0\r\n" + _HOST
         + b"Connection: keep-alive\r\n" + _LENGTH + _CHUNKED + b"\r\n" + _HIDDEN),
    Case("GET with a body", b"GET " + target("get") + b" HTTP/1.1\r\n" + _HOST
         + b"Content-Length: %d\r\n\r\n" % len(_WHOLE) + _WHOLE),
    Case("LF as line ends", b"GET " + target("lf") + b" HTTP/1.1\nHost: localhost\n"
         b"Content-Length: %d\n\n" % len(_WHOLE) + _WHOLE),
    Case("refused upgrade", b"GET " + target("upgrade") + b" HTTP/1.1\r\n" + _HOST
         + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 777\r\n"
         + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + _WHOLE),
    Case("upgrade with a body", b"GET " + target("body") + b" HTTP/1.1\r\n" + _HOST
         + b"Upgrade: websocket\r\nConnection: Upgrade, Content-Length\r\n"
         + b"Content-Length: %d\r\n\r\n" % len(_WHOLE) + _WHOLE),
    Case("length as a connection option", b"POST " + target("hop") + b" HTTP/1.1\r\n" + _HOST
         + b"Connection: keep-alive, Content-Length\r\n"
         + b"Content-Length: %d\r\n\r\n" % len(_WHOLE) + _WHOLE),
)  # fmt: skip


class Backend:
    """The server behind the proxies, and the requests that it has routed."""

    def __init__(self) -> None:
        self.io = SocketServer(trusted_proxies=["127.0.0.1"])
        self.routed: list[tuple[str, bool]] = []
        """The mark of each request, and whether a proxy has forwarded it."""
        self.io.engine.use(self._answer)

    def _answer(self, request: HttpRequest) -> HttpResponse | None:
        mark = request.query.get("mark")
        if mark is None:
            return None  # a request of the measuring client
        self.routed.append((mark, "x-forwarded-for" in request.headers))
        return HttpResponse(200, mark.encode(), [("Content-Type", "text/plain")])


class Outcome(NamedTuple):
    """The outcome of a case: the statuses of the responses, and the found problems."""

    case: str
    statuses: tuple[int, ...]
    problems: tuple[str, ...]


async def run_cases(port: int, backend: Backend) -> list[Outcome]:
    """Send all cases to a proxy in front of the backend, on the loopback interface.

    All cases run at once; if a request was smuggled, they run again one by one to find its case.
    """
    statuses = await asyncio.gather(*(_exchange(port, case.data) for case in CASES))
    if not await find_problems(port, backend):
        pairs = zip(CASES, statuses, strict=True)
        return [Outcome(case.name, each, ()) for case, each in pairs]
    outcomes = []
    for case in CASES:
        backend.routed.clear()
        answer = await _exchange(port, case.data)
        outcomes.append(Outcome(case.name, answer, await find_problems(port, backend)))
    return outcomes


async def find_problems(port: int, backend: Backend) -> tuple[str, ...]:
    """Send ordinary requests, and return their wrong responses and the smuggled requests."""
    problems = []
    for number in range(_FOLLOWERS):
        mark = f"follower-{number}"
        data = b"GET " + target(mark) + b" HTTP/1.1\r\n" + _HOST + b"Connection: close\r\n\r\n"
        answer = await _receive(port, data, silence=_SECONDS)  # the proxy ends the connection
        if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(mark.encode()):
            problems.append(f"another request received {answer[-100:]!r}")
    problems += [f"the server routed {mark!r}" for mark, is_from in backend.routed if not is_from]
    return tuple(problems)


async def _exchange(port: int, data: bytes) -> tuple[int, ...]:
    answer = await _receive(port, data, silence=_SILENCE)
    return tuple(int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:])


async def _receive(port: int, data: bytes, *, silence: float) -> bytes:
    """Send bytes over TLS and return the received bytes up to the end, or to so many seconds."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate of the tests, on the loopback interface
    answer = b""
    async with asyncio.timeout(_SECONDS):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        writer.write(data)
        with contextlib.suppress(TimeoutError, OSError):
            while more := await asyncio.wait_for(reader.read(1 << 16), silence):
                answer += more
        writer.transport.abort()
    return answer


async def _smuggle(proxied: Target) -> Report:
    """Send all cases through the proxy."""
    assert proxied.backend is not None, "the place of the attack is a proxy"
    outcomes = await run_cases(proxied.port, proxied.backend)
    refused = sum(bool(each.statuses) and each.statuses[0] >= 400 for each in outcomes)
    found = [each.case for each in outcomes if each.problems]
    text = f"smuggled: {', '.join(found)}" if found else f"{refused} refused, 0 smuggled"
    return Report(text, not found)


_PROXIES: Final[tuple[Place, ...]] = ("nginx", "haproxy", "apache", "caddy")
ATTACKS: Final = tuple(
    Attack(
        f"smuggling, {name}", "requests that two parsers may split differently", f"{len(CASES)}",
        _smuggle, name, is_compared=False,
    )
    for name in _PROXIES
)  # fmt: skip
