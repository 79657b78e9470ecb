"""Plays one dialogue, step by step.

Each verb of `spec-vectors/README.md` is a method. Every expectation has a deadline of one second at
most; a failure contains the expected and the observed behavior. `session` selects the dialogues.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from .dialogue import Dialogue, Step, verb_of
from .http_connection import Address, ConnectionCutError, HttpConnection, Response, encode_request
from .patterns import Captures, expand, fill, match, show
from .payload_v3 import join_packets, split_packets
from .websocket_connection import Closed, WebSocketConnection, encode_outgoing

SEPARATOR = "\x1e"
WITHIN = 5.0


class Failure(NamedTuple):
    """The failed step, with the expected and the observed behavior."""

    number: int
    step: Step
    expected: str
    observed: str


class StepError(Exception):
    """A step whose expectation was not met."""

    def __init__(self, expected: str, observed: str) -> None:
        super().__init__(f"expected {expected}; {observed}")
        self.expected = expected
        self.observed = observed


class Player:
    """One dialogue with one server; closes its connections in every case."""

    def __init__(self, address: Address, path: str) -> None:
        self._address = address
        self._path = path
        self._revision = 4
        self._captures: Captures = {}
        self._http: dict[str, HttpConnection] = {}
        self._websockets: dict[str, WebSocketConnection] = {}
        self._others: list[HttpConnection] = []

    async def play(self, dialogue: Dialogue) -> Failure | None:
        """Play the steps; return the failure, or None."""
        number, step = 0, dialogue.steps[0]
        self._revision = dialogue.revision
        try:
            while number < len(dialogue.steps):
                step = dialogue.steps[number]
                number += 1
                await self._do(step)
            self._check_unread_messages()
        except StepError as failed:
            return Failure(number, step, failed.expected, failed.observed)
        except (OSError, ValueError, RecursionError) as error:
            return Failure(number, step, "to play the step", f"{type(error).__name__}: {error}")
        finally:
            for connection in (*self._http.values(), *self._others):
                connection.close()
            for websocket in self._websockets.values():
                websocket.drop()
        return None

    def _check_unread_messages(self) -> None:
        for name, websocket in self._websockets.items():
            unread = websocket.take_unread()
            if unread:
                raise StepError(
                    f"no more messages on {name!r}",
                    f"got {', '.join(show(each) for each in unread)}",
                )

    async def _do(self, step: Step) -> None:
        verb = verb_of(step)
        do: Callable[[Step], Awaitable[None]] = getattr(self, f"_{verb}")
        await do(step)

    # -- HTTP

    async def _request(self, step: Step) -> None:
        name = step["request"]
        method = step.get("method", "GET")
        target = self._target(step)
        connection = await self._connection(step)
        if "raw" in step:
            data = fill(step["raw"], self._captures).encode("latin-1")
        else:
            body = self._bytes(step["body"]) if "body" in step else None
            data = encode_request(
                method,
                target,
                self._address.host_header,
                step.get("headers", {}),
                body,
                chunk_size=step.get("chunked"),
                length=step.get("length"),
            )
        connection.write(data)
        connection.expect(method, target)
        self._http[name] = connection
        if "expect" in step:
            await self._response({"response": name, **step["expect"]})

    async def _connection(self, step: Step) -> HttpConnection:
        if "on" not in step:
            return await HttpConnection.open(self._address)
        return self._http.pop(step["on"])

    async def _more(self, step: Step) -> None:
        self._http[step["more"]].write(self._bytes(step["data"]))
        await asyncio.sleep(0)

    async def _response(self, step: Step) -> None:
        name = step["response"]
        within = step.get("within", WITHIN)
        expected = f"a response to {name!r} within {within:g} s"
        try:
            response = await asyncio.wait_for(self._http[name].response(), within)
        except TimeoutError:
            raise StepError(expected, "nothing arrived") from None
        except ConnectionCutError as cut:
            if step.get("or_cut"):
                return
            raise StepError(expected, str(cut)) from None
        self._check_response(step, response)

    def _check_response(self, step: Step, response: Response) -> None:
        response = response.decoded()
        seen = f"{response.status} {show(_text(response.body))}"
        statuses = step.get("status", 200)
        if response.status not in (statuses if isinstance(statuses, list) else [statuses]):
            raise StepError(f"status {statuses}", f"got {seen}")
        self._check_headers(step, response)
        body = _text(response.body)
        if "body" in step:
            self._check("body", match(step["body"], body, self._captures), seen)
        if "json" in step:
            pattern = {"prefix": "", "json": step["json"]}
            self._check("JSON", match(pattern, body, self._captures), seen)
        if "payload" in step:
            packets = self._packets(response.body)
            if len(packets) != len(step["payload"]):
                raise StepError(f"a payload of {len(step['payload'])} packets", f"got {seen}")
            for pattern, packet in zip(step["payload"], packets, strict=True):
                self._check("packet", match(pattern, packet, self._captures), seen)

    def _check_headers(self, step: Step, response: Response) -> None:
        for name, pattern in step.get("headers", {}).items():
            value = response.headers.get(name)
            if pattern is None:
                if value is not None:
                    raise StepError(f"no header {name}", f"got {value!r}")
                continue
            if value is None:
                raise StepError(f"a header {name}: {pattern}", "the header is missing")
            self._check(f"header {name}", match(pattern, value, self._captures), repr(value))

    @staticmethod
    def _check(part: str, mismatch: str | None, seen: str) -> None:
        if mismatch is not None:
            raise StepError(f"another {part}: {mismatch}", f"got {seen}")

    async def _pending(self, step: Step) -> None:
        name, seconds = step["pending"], step["for"]
        with suppress(TimeoutError):
            try:
                response = await asyncio.wait_for(self._http[name].response(), seconds)
                observed = f"got {response.status} {show(_text(response.body))}"
            except ConnectionCutError as cut:
                observed = str(cut)
            raise StepError(f"no response to {name!r} for {seconds:g} s", observed)

    async def _cut(self, step: Step) -> None:
        name = step["cut"]
        within = step.get("within", WITHIN)
        expected = f"the end of the connection of {name!r} within {within:g} s"
        try:
            response = await asyncio.wait_for(self._http[name].response(), within)
        except TimeoutError:
            raise StepError(expected, "the connection is still open") from None
        except ConnectionCutError:
            return
        raise StepError(expected, f"got {response.status} {show(_text(response.body))}")

    async def _abort(self, step: Step) -> None:
        self._http[step["abort"]].abort()
        await asyncio.sleep(0)

    # -- HTTP shortcuts

    async def _post(self, step: Step) -> None:
        packets = [fill(packet, self._captures) for packet in step["packets"]]
        headers = {"Content-Type": "text/plain;charset=UTF-8", **step.get("headers", {})}
        is_old = self._revision == 3
        body = join_packets(packets) if is_old else SEPARATOR.join(packets).encode()
        response = await self._fetch("POST", step["post"], headers, body, WITHIN)
        if response is None or response.status != 200:
            got = f"{response.status} {show(_text(response.body))}" if response else "no response"
            raise StepError("a response to the POST with status 200", f"got {got}")

    async def _poll(self, step: Step) -> None:
        """Poll until the expected number of packets has arrived."""
        deadline = asyncio.get_running_loop().time() + step.get("within", WITHIN)
        patterns = list(step["packets"])
        seen: list[str | bytes] = []
        while len(seen) < len(patterns):
            left = deadline - asyncio.get_running_loop().time()
            response = await self._fetch("GET", step["poll"], {}, None, left) if left > 0 else None
            if response is None:
                raise StepError(f"{len(patterns)} packets", f"got {_show_all(seen)}")
            if response.status != 200:
                got = f"{response.status} {show(_text(response.body))} after {_show_all(seen)}"
                raise StepError("a response to the poll with status 200", f"got {got}")
            seen += self._packets(response.body)
        for index, packet in enumerate(seen):
            if index >= len(patterns):
                raise StepError("no more packets", f"got {_show_all(seen)}")
            self._check("packet", match(patterns[index], packet, self._captures), _show_all(seen))

    async def _fetch(
        self, method: str, sid: str, headers: dict[str, str], body: bytes | None, within: float
    ) -> Response | None:
        connection = await HttpConnection.open(self._address)
        self._others.append(connection)
        query = f"EIO={self._revision}&transport=polling&sid={fill(sid, self._captures)}"
        target = f"{self._path}?{query}"
        host = self._address.host_header
        connection.write(encode_request(method, target, host, headers, body))
        connection.expect(method, target)
        try:
            return await asyncio.wait_for(connection.response(), within)
        except TimeoutError:
            return None
        except ConnectionCutError as cut:
            raise StepError(f"a response to a {method}", str(cut)) from None

    # -- WebSocket

    async def _websocket(self, step: Step) -> None:
        name = step["websocket"]
        expect = {"status": 101, **step.get("expect", {})}
        target = self._target(step)
        connection = await HttpConnection.open(self._address)
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **step.get("headers", {}),
        }
        head = encode_request("GET", target, self._address.host_header, headers)
        tail = b"".join(encode_outgoing(each, self._captures) for each in step.get("with", ()))
        connection.write(head + tail)
        connection.expect("GET", target, upgrades=True)
        self._http[name] = connection
        await self._response({"response": name, **expect})
        if not connection.is_done:
            return
        with suppress(ConnectionCutError):
            if (await connection.response()).status == 101:
                del self._http[name]
                self._websockets[name] = WebSocketConnection(*connection.detach())

    async def _send(self, step: Step) -> None:
        data = b"".join(encode_outgoing(each, self._captures) for each in step["messages"])
        self._websockets[step["send"]].send(data)
        await asyncio.sleep(0)

    async def _receive(self, step: Step) -> None:
        name = step["receive"]
        within = step.get("within", WITHIN)
        for pattern in step["messages"]:
            expected = f"{show(pattern)} on {name!r} within {within:g} s"
            try:
                message = await asyncio.wait_for(self._websockets[name].receive(), within)
            except TimeoutError:
                raise StepError(expected, "nothing arrived") from None
            if isinstance(message, Closed):
                raise StepError(expected, _show_closed(message))
            mismatch = match(pattern, message, self._captures)
            if mismatch is not None:
                raise StepError(expected, f"got {show(message)}: {mismatch}")

    async def _silent(self, step: Step) -> None:
        name, seconds = step["silent"], step["for"]
        with suppress(TimeoutError):
            message = await asyncio.wait_for(self._websockets[name].receive(), seconds)
            got = _show_closed(message) if isinstance(message, Closed) else f"got {show(message)}"
            raise StepError(f"no message on {name!r} for {seconds:g} s", got)

    async def _close(self, step: Step) -> None:
        self._websockets[step["close"]].close(step.get("code"))
        await asyncio.sleep(0)

    async def _closed(self, step: Step) -> None:
        name = step["closed"]
        within = step.get("within", WITHIN)
        expected = f"a close of {name!r} within {within:g} s"
        try:
            message = await asyncio.wait_for(self._websockets[name].receive(), within)
        except TimeoutError:
            raise StepError(expected, "the connection is still open") from None
        if not isinstance(message, Closed):
            raise StepError(expected, f"got {show(message)}")
        codes = step.get("code")
        if codes is not None and message.code not in (
            codes if isinstance(codes, list) else [codes]
        ):
            raise StepError(f"the close code {codes}", _show_closed(message))
        if step.get("reason", message.reason) != message.reason:
            raise StepError(f"the close reason {step['reason']!r}", _show_closed(message))

    async def _drop(self, step: Step) -> None:
        self._websockets[step["drop"]].drop()
        await asyncio.sleep(0)

    # -- time and helpers

    @staticmethod
    async def _wait(step: Step) -> None:
        await asyncio.sleep(step["wait"])

    def _target(self, step: Step) -> str:
        path = fill(step.get("path", self._path), self._captures)
        query = fill(step.get("query", ""), self._captures)
        return f"{path}?{query}" if query else path

    def _packets(self, body: bytes) -> list[str | bytes]:
        if self._revision == 3:
            return split_packets(body)
        text = _text(body)
        return [text] if isinstance(text, bytes) else list(text.split(SEPARATOR))

    def _bytes(self, value: Any) -> bytes:
        data = expand(value, self._captures)
        return data.encode() if isinstance(data, str) else data


def _text(body: bytes) -> str | bytes:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _show_all(packets: list[str | bytes]) -> str:
    return " ".join(show(each) for each in packets) or "no packets"


def _show_closed(closed: Closed) -> str:
    reason = f", {closed.reason}" if closed.reason else ""
    return f"the connection closed with {closed.code}{reason}"


def describe(step: Step) -> str:
    """Return a step as one line of a report."""
    text = json.dumps(step, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "…"
