"""Proxy between a client and a server that records their session as the draft of a dialogue.

The proxy forwards all bytes unchanged. The user replaces texts of the draft with patterns.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from .http_connection import Address

Step = dict[str, Any]

_SID = re.compile(r'"sid":"([^"]+)"')
# Headers that every client or the player sends.
_OWN_HEADERS = {
    *("host", "connection", "upgrade", "user-agent", "accept", "accept-encoding"),
    *("accept-language", "content-length", "transfer-encoding", "sec-websocket-key"),
    *("sec-websocket-version", "sec-websocket-extensions"),
}


class Recording:
    """The recorded steps in order, with captures instead of sids."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._sids: dict[str, str] = {}
        self._count = 0

    def make_name(self, kind: str) -> str:
        """Return a new name for a request or a WebSocket."""
        self._count += 1
        return f"{kind}{self._count}"

    def add(self, step: Step) -> None:
        """Append a step to the recording."""
        self.steps.append(step)

    def make_pattern(self, packet: str) -> Any:
        """Return the pattern of a packet: JSON that captures the sid, or the text."""
        found = _SID.search(packet)
        if found is None or packet[:1] not in {"0", "4"}:
            return packet
        prefix = packet[: packet.index("{")]
        value = json.loads(packet[len(prefix) :])
        capture = f"sid{len(self._sids) or ''}"
        self._sids[value["sid"]] = capture
        value["sid"] = {"$capture": capture}
        return {"prefix": prefix, "json": value}

    def format_dialogue(self, name: str) -> str:
        """Return the case in the format of a dialogue file, with captures instead of sids."""
        steps = json.dumps(self.steps, ensure_ascii=False)
        for sid, capture in self._sids.items():
            steps = steps.replace(sid, f"${{{capture}}}")
        rows = ",\n".join(f"    {json.dumps(s, ensure_ascii=False)}" for s in json.loads(steps))
        return (
            f'{{\n  "name": "{name}",\n  "group": "",\n  "steps": [\n{rows}\n  ],\n'
            '  "source": "observed: "\n}\n'
        )


class ConnectionRecorder:
    """Recorder of both directions of one connection."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._from_client = h11.Connection(h11.SERVER)
        self._from_server = h11.Connection(h11.CLIENT)
        self._request: h11.Request | None = None
        self._name = ""
        self._body = b""
        self._response_body = b""
        self._head: h11.Response | None = None
        self._frames: dict[str, Protocol] = {}

    def receive_from_client(self, data: bytes) -> None:
        """Record bytes from the client."""
        if self._frames:
            self._record_frames("send", data)
            return
        self._from_client.receive_data(data)
        while isinstance(event := self._from_client.next_event(), h11.Event):
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
            elif isinstance(event, h11.Data):
                self._body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._record_request()

    def receive_from_server(self, data: bytes) -> None:
        """Record bytes from the server."""
        if self._frames:
            self._record_frames("receive", data)
            return
        self._from_server.receive_data(data)
        while isinstance(event := self._from_server.next_event(), h11.Event):
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                self._switch()
                return
            if isinstance(event, h11.Response):
                self._head, self._response_body = event, b""
            elif isinstance(event, h11.Data):
                self._response_body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._record_response()
                return

    def _record_request(self) -> None:
        request = self._request
        assert request is not None, "the head precedes the end"
        headers = {
            key.decode(): value.decode("latin-1")
            for key, value in request.headers
            if key.decode() not in _OWN_HEADERS
        }
        upgrades = (b"upgrade", b"websocket") in [(k, v.lower()) for k, v in request.headers]
        method, target = request.method.decode(), request.target.decode()
        path, _, query = target.partition("?")
        self._name = self._recording.make_name("ws" if upgrades else "r")
        step: Step = {"websocket" if upgrades else "request": self._name}
        if method != "GET":
            step["method"] = method
        if path not in {"/engine.io/", "/socket.io/"}:
            step["path"] = path
        step["query"] = query
        if headers:
            step["headers"] = headers
        if self._body:
            step["body"] = _text_or_base64(self._body)
        self._recording.add(step)
        own = [(b"host", b"x")]
        if upgrades:
            own += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
        self._from_server.send(h11.Request(method=method, target=target, headers=own))
        self._from_server.send(h11.EndOfMessage())

    def _record_response(self) -> None:
        assert self._head is not None, "the head precedes the end"
        step: Step = {"response": self._name, "status": self._head.status_code}
        content_type = dict(self._head.headers).get(b"content-type", b"")
        text = _text_or_base64(self._response_body)
        if isinstance(text, str) and content_type.startswith(b"text/plain"):
            step["payload"] = [self._recording.make_pattern(each) for each in text.split("\x1e")]
        elif self._response_body:
            step["body"] = text
        self._recording.add(step)
        self._from_server.start_next_cycle()
        self._from_client.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        self._from_client.send(h11.EndOfMessage())
        with suppress(h11.LocalProtocolError):
            self._from_client.start_next_cycle()

    def _switch(self) -> None:
        self._frames = {
            "send": Protocol(Side.SERVER, state=State.OPEN, max_size=None),
            "receive": Protocol(Side.CLIENT, state=State.OPEN, max_size=None),
        }
        for verb, parser in (("receive", self._from_server), ("send", self._from_client)):
            rest = parser.trailing_data[0]
            if rest:
                self._record_frames(verb, rest)

    def _record_frames(self, verb: str, data: bytes) -> None:
        protocol = self._frames[verb]
        protocol.receive_data(data)
        for frame in protocol.events_received():
            if isinstance(frame, Frame):
                self._record_frame(verb, frame)
        protocol.data_to_send()

    def _record_frame(self, verb: str, frame: Frame) -> None:
        data = bytes(frame.data)
        message: Any
        if frame.opcode is Opcode.CLOSE:
            code = int.from_bytes(data[:2], "big") if data else 1005
            verb = "close" if verb == "send" else "closed"
            self._recording.add({verb: self._name, "code": code})
            return
        if frame.opcode is Opcode.TEXT:
            text = data.decode()
            message = self._recording.make_pattern(text) if verb == "receive" else text
        elif frame.opcode is Opcode.BINARY:
            message = {"$base64": base64.b64encode(data).decode()}
        else:
            return
        self._recording.add({verb: self._name, "messages": [message]})


def _text_or_base64(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"$base64": base64.b64encode(data).decode()}


async def record(options: argparse.Namespace) -> int:
    """Record for `options.seconds` or until an interrupt, then print the dialogue."""
    address = Address.of(options.url)
    recording = Recording()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a task serves the connection"
        tasks.add(task)
        await _forward(reader, writer, address, ConnectionRecorder(recording))

    server = await asyncio.start_server(serve, "127.0.0.1", options.port)
    port = server.sockets[0].getsockname()[1]
    sys.stderr.write(f"recording: connect a client to http://127.0.0.1:{port}\n")
    try:
        await asyncio.sleep(options.seconds)
    except asyncio.CancelledError:
        pass
    finally:
        server.close()
        for task in tasks:
            task.cancel()
    sys.stdout.write(recording.format_dialogue(options.name))
    return 0


async def _forward(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    address: Address,
    recorder: ConnectionRecorder,
) -> None:
    server_reader, server_writer = await asyncio.open_connection(address.host, address.port)

    async def pump(
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        receive: Callable[[bytes], None],
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                receive(data)
                sink.write(data)
        sink.close()

    try:
        await asyncio.gather(
            pump(reader, server_writer, recorder.receive_from_client),
            pump(server_reader, writer, recorder.receive_from_server),
        )
    except asyncio.CancelledError:
        pass
    finally:
        writer.close()
        server_writer.close()
