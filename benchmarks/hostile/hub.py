"""Attacks of users and producers of the hub: budgets, uploads, replays, forged log lines."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import time
from typing import Final

from benchmarks.hostile.attack import Attack, Report, Target
from benchmarks.hostile.sending import Streams, open_tcp, request
from benchmarks.hostile.victim import open_websocket
from benchmarks.wire import HOST, PONG, frame

_EVENTS: Final = 5000
_UPLOADS: Final = 40
_SECONDS: Final = 20.0
_ESCAPE: Final = b"\x1b[31m"
_FORGED: Final = "FORGED-LINE"
_NESSUS: Final = b'<?xml version="1.0"?>\n'

#: Crafted exports: each is small or of moderate size, and expensive for a careless parser.
EXPORTS: Final[dict[str, bytes]] = {
    "entities": _NESSUS
    + b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(
        b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(12)
    )
    + b"]><NessusClientData_v2>&m;</NessusClientData_v2>",
    "external entity": _NESSUS
    + b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    + b"<NessusClientData_v2>&x;</NessusClientData_v2>",
    "depth": _NESSUS + b"<NessusClientData_v2>" + b"<a>" * 100_000,
    "long attribute": _NESSUS
    + b'<NessusClientData_v2><Report name="' + b"x" * 12_000_000 + b'"/></NessusClientData_v2>',
    "attributes": _NESSUS + b"<NessusClientData_v2><Report "
    + b" ".join(b'a%d="1"' % n for n in range(200_000)) + b"/></NessusClientData_v2>",
    "elements": _NESSUS + b'<NessusClientData_v2><Report name="r"><ReportHost name="h"><ReportItem>'
    + b"<a/>" * 1_000_000 + b"</ReportItem></ReportHost></Report></NessusClientData_v2>",
}  # fmt: skip


def _http(method: str, path: str, authorization: str, body: bytes, headers: bytes = b"") -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nAuthorization: Bearer {authorization}\r\n"
        f"Content-Length: {len(body)}\r\n".encode()
        + HOST
        + headers
        + b"\r\n"
        + body
    )


async def _join(target: Target) -> Streams:
    """Connect a client of the attacking user."""
    reader, writer = await open_websocket(target.port)
    writer.write(frame(b"40" + json.dumps({"token": target.token}).encode()))
    await reader.readuntil(b'40{"sid"')
    return reader, writer


async def _events(target: Target) -> Report:
    """Send far more events than a user may, over several connections."""
    refused = accepted = 0
    everyone = [await _join(target) for _ in range(4)]
    for _, writer in everyone:
        writer.write(b"".join(frame(b'42%d["ping",1]' % n) for n in range(_EVENTS // 4)))
    for reader, writer in everyone:
        answers = b""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(3.0):
                while more := await reader.read(1 << 16):
                    answers += more
                    if b"\x012" in more:
                        writer.write(PONG)
        refused += answers.count(b"RATE_LIMITED")
        accepted += len(re.findall(rb"43\d+\[", answers)) - answers.count(b'"RATE_LIMITED"')
        writer.close()
    return Report(f"{accepted} accepted, others refused, clients closed", accepted <= 600)


async def _one_upload(target: Target, path: str, body: bytes) -> tuple[int, bytes]:
    streams = await open_tcp(target.port)
    try:
        return await request(streams, _http("POST", path, target.token, body))
    finally:
        streams[1].close()


async def _uploads(target: Target) -> Report:
    """Store far more uploads at once than a user may."""
    body = b"hostname,vulnerability\n" + b"h,v\n" * 100_000
    answers = await asyncio.gather(
        *(_one_upload(target, "/api/imports/upload", body) for _ in range(_UPLOADS))
    )
    stored = sum(status == 201 for status, _ in answers)
    return Report(f"{stored} stored, {_UPLOADS - stored} refused", 0 < stored <= 10)


async def _imports(target: Target) -> Report:
    """Start far more imports than a user may queue."""
    body = b"hostname,cve\n" + b"h,CVE-2024-0001\n" * 1000
    answers = await asyncio.gather(
        *(_one_upload(target, "/api/imports", body) for _ in range(_UPLOADS))
    )
    started = sum(status == 202 for status, _ in answers)
    return Report(f"{started} accepted, {_UPLOADS - started} refused", started < _UPLOADS)


async def _exports(target: Target) -> Report:
    """Inspect crafted XML files, one after the other."""
    began = time.monotonic()
    statuses = {}
    for name, body in EXPORTS.items():
        status, answer = await _one_upload(target, "/api/imports/inspect?filename=a.nessus", body)
        is_read = status == 200 and json.loads(answer).get("findings")
        statuses[name] = "read" if is_read else status
    took = time.monotonic() - began
    is_bounded = "read" not in statuses.values() and 0 not in statuses.values()
    refused = sum(status not in {"read", 0} for status in statuses.values())
    return Report(f"{refused} of {len(EXPORTS)} refused in {took:.0f} s", is_bounded)


async def _replays(target: Target) -> Report:
    """Send a signed report twice, and one with an idempotency key twice."""
    body = b'{"type": "info", "message": "hostile"}'
    path = "/ingest/v1/notifications"
    moment = str(int(time.time() * 1000))
    value = hmac.new(target.secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    signature = f"X-HexTrackr-Signature: t={moment},v1={value.hexdigest()}\r\n".encode()
    streams = await open_tcp(target.port)
    signed = [(await request(streams, _http("POST", path, "", body, signature)))[0]
              for _ in range(2)]  # fmt: skip
    key = b"Idempotency-Key: hostile\r\n"
    repeated = [(await request(streams, _http("POST", path, target.secret, body, key)))[1]
                for _ in range(2)]  # fmt: skip
    streams[1].close()
    is_once = repeated[0] == repeated[1] and b'"id"' in repeated[0]
    text = f"signature: {signed[0]}, then {signed[1]}; key: " + ("one run" if is_once else "twice")
    return Report(text, signed == [202, 401] and is_once)


async def _forgery(target: Target) -> Report:
    """Send control characters and line ends wherever the server may log or repeat a value."""
    line = f"\n2026-01-01T00:00:00Z [error] {_FORGED}\n".encode()
    answers = []
    for data in (
        b"GET /socket.io/?EIO=4&transport=polling&sid=%0d%0aSet-Cookie:x=1" + _ESCAPE
        + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /%0d%0aSet-Cookie:%20x=1%0d%0a HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\rSet-Cookie: x=1\r\n\r\n",
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n" + HOST
        + b"Origin: https://a" + _ESCAPE + b"\r\n\r\n",
        b"GET /socket.io/?EIO=4&transport=polling&sid=%0a" + _FORGED.encode() + b" HTTP/1.1\r\n"
        + HOST + b"User-Agent: " + _ESCAPE + b"\xff\r\n\r\n",
    ):  # fmt: skip
        reader, writer = await open_tcp(target.port)
        writer.write(data)
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(1.0):
                answers.append(await reader.read(1 << 16))
        writer.close()
    for packet in (
        b"40/a" + line + b",{}",
        b"40" + json.dumps({"token": "x" + line.decode()}).encode(),
    ):
        reader, writer = await open_websocket(target.port)
        writer.write(frame(packet))
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(1.0):
                await reader.read(1 << 16)
        writer.close()
    reader, writer = await _join(target)
    writer.write(frame(b"42" + json.dumps(["x" + line.decode(), 1]).encode()))
    await asyncio.sleep(0.5)
    writer.close()
    log = target.read_log()
    forged = sum(_FORGED in each and "[error]" in each.split(_FORGED)[0][:30]
                 for each in log.splitlines())  # fmt: skip
    is_repeated = any(b"\r\nset-cookie:" in answer.lower() for answer in answers)
    is_raw = "\x1b" in log
    return Report(
        f"{forged} forged lines, headers {'' if is_repeated else 'not '}injected",
        not (forged or is_repeated or is_raw),
    )


_PLACE: Final = "hub"
ATTACKS: Final = (
    Attack("user's events", "events of one user over 4 connections", f"{_EVENTS:,}", _events,
           _PLACE, is_compared=False),
    Attack("user's uploads", "uploads of one user at once", f"{_UPLOADS}", _uploads,
           _PLACE, is_compared=False),
    Attack("user's imports", "imports of one user at once", f"{_UPLOADS}", _imports,
           _PLACE, is_compared=False),
    Attack("XML", "files with entities, depth, huge attributes", f"{len(EXPORTS)}", _exports,
           _PLACE, is_compared=False, memory=300),
    Attack("replays", "repeated reports of a producer", "4", _replays, _PLACE, is_compared=False),
    Attack("forged lines", "line ends and controls in requests and packets", "8", _forgery,
           _PLACE, is_compared=False),
)  # fmt: skip
