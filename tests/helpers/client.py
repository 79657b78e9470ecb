"""Clients of an engine with a fake clock and fake TCP; tests with them never sleep."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from engineio_core import Engine, Session

from .fake_clock import FakeClock
from .fake_tcp import FakeTcp
from .wire import (
    BINARY,
    CLOSE,
    TEXT,
    WEBSOCKET_HEADERS,
    Frame,
    Response,
    client_frame,
    http_request,
    parse_frames,
    parse_responses,
)

Message = str | bytes


class Connection:
    """The client end of a TCP connection to the engine."""

    def __init__(self, server: Server, **tcp: Any) -> None:
        self.server = server
        self.tcp = FakeTcp(server.clock, **tcp)
        protocol = server.engine._make_connection()
        self.tcp.set_protocol(protocol)
        protocol.connection_made(self.tcp)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Send bytes and run the calls that the server makes immediately."""
        if not self.tcp.is_closed:
            self.tcp.feed(data)
        self.server.clock.run()

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        self.feed(http_request(method, target, headers or {}, body))

    def responses(self, *, head_only: bool = False) -> list[Response]:
        """Return the responses that have arrived since the last call."""
        self.server.clock.run()
        data = self._rest + self.tcp.take()
        responses, self._rest = parse_responses(data, head_only=head_only)
        return responses

    def response(self, *, head_only: bool = False) -> Response:
        """Return the only response that has arrived; fail if there is another number."""
        responses = self.responses(head_only=head_only)
        assert len(responses) == 1, f"expected one response, got {len(responses)}"
        return responses[0]

    def frames(self) -> list[Frame]:
        """Return the WebSocket frames that have arrived since the last call."""
        self.server.clock.run()
        frames, self._rest = parse_frames(self._rest + self.tcp.take())
        return frames


class Server:
    """An engine that records its sessions, messages, closes and connection errors."""

    def __init__(self, *, echo: bool = False, **options: Any) -> None:
        self.clock = FakeClock()
        self.engine = Engine(clock=self.clock, **options)
        self.path = self.engine.options.path
        self.sessions: list[Session] = []
        self.closed: list[tuple[str, str]] = []
        self.received: list[Message] = []
        self.errors: list[Any] = []
        self._echo = echo
        self.engine.on("connection", self._connected)
        self.engine.on("connection_error", self.errors.append)

    def _connected(self, session: Session) -> None:
        self.sessions.append(session)
        session.on_close = lambda reason, description: self.closed.append(
            (str(reason), description)
        )
        session.on_text = self._text(session)
        session.on_binary = self._binary(session)

    def _text(self, session: Session) -> Any:
        def receive(text: str) -> None:
            self.received.append(text)
            if self._echo:
                session.send_text(text)

        return receive

    def _binary(self, session: Session) -> Any:
        def receive(data: bytes) -> None:
            self.received.append(data)
            if self._echo:
                session.send_binary(data)

        return receive

    @property
    def session(self) -> Session:
        return self.sessions[-1]

    @property
    def reasons(self) -> list[str]:
        """The close reasons of the sessions, in order."""
        return [reason for reason, _ in self.closed]

    def target(self, **query: str) -> str:
        slash = "/" if self.engine.options.add_trailing_slash else ""
        return f"{self.path}{slash}?" + urlencode({"EIO": "4", **query})

    def connect(self, **tcp: Any) -> Connection:
        return Connection(self, **tcp)

    def get(self, headers: Mapping[str, str] | None = None, **query: str) -> Connection:
        """Send a GET request to the engine on a new connection."""
        return self.send("GET", headers, **query)

    def post(
        self, body: bytes, headers: Mapping[str, str] | None = None, **query: str
    ) -> Connection:
        return self.send("POST", headers, body, **query)

    def send(
        self,
        method: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        **query: str,
    ) -> Connection:
        connection = self.connect()
        connection.request(method, self.target(**query), headers, body)
        return connection

    def upgrade(
        self, headers: Mapping[str, str] | None = None, tail: bytes = b"", **query: str
    ) -> Connection:
        """Send a WebSocket handshake; `tail` arrives in the same segment."""
        connection = self.connect()
        query = {"transport": "websocket", **query}
        request = http_request(
            "GET", self.target(**query), {**WEBSOCKET_HEADERS, **(headers or {})}
        )
        connection.feed(request + tail)
        return connection

    def open_polling(self, headers: Mapping[str, str] | None = None) -> PollingClient:
        connection = self.get(headers, transport="polling")
        response = connection.response()
        assert response.status == 200, response
        return PollingClient(self, response)

    def open_websocket(self, headers: Mapping[str, str] | None = None) -> WebSocketClient:
        connection = self.upgrade(headers)
        response = connection.response()
        assert response.status == 101, response
        client = WebSocketClient(self, connection)
        (opened,) = client.texts()
        client.handshake = json.loads(opened[1:])
        client.sid = client.handshake["sid"]
        return client

    def open(self, transport: str) -> Client:
        return self.open_polling() if transport == "polling" else self.open_websocket()


class PollingClient:
    """A client that polls on one connection and posts on another."""

    transport = "polling"

    def __init__(self, server: Server, response: Response) -> None:
        self.server = server
        self.response = response
        self.handshake: dict[str, Any] = json.loads(response.text.split("\x1e")[0][1:])
        self.sid: str = self.handshake["sid"]
        self.session = server.session
        self._polls = server.connect()
        self._posts = server.connect()
        self._is_polling = False
        self._is_refused = False

    def poll(self, headers: Mapping[str, str] | None = None) -> Connection:
        """Send a GET request for this session on a new connection."""
        return self.server.get(headers, transport="polling", sid=self.sid)

    def post(self, body: str | bytes, headers: Mapping[str, str] | None = None) -> Connection:
        """Send a POST request for this session on a new connection."""
        data = body.encode() if isinstance(body, str) else body
        return self.server.post(data, headers, transport="polling", sid=self.sid)

    def upgrade(self, tail: bytes = b"") -> WebSocketClient:
        """Send a WebSocket handshake for this session; `tail` arrives in the same segment."""
        connection = self.server.upgrade(tail=tail, sid=self.sid)
        response = connection.response()
        assert response.status == 101, response
        client = WebSocketClient(self.server, connection)
        client.sid = self.sid
        client.session = self.session
        return client

    # -- common interface of both clients

    def send_packet(self, packet: str) -> None:
        self._posts = self._request(self._posts, "POST", packet.encode())
        self._posts.responses()

    def _request(self, kept: Connection, method: str, body: bytes | None = None) -> Connection:
        connection = self.server.connect() if kept.tcp.is_over else kept
        target = self.server.target(transport="polling", sid=self.sid)
        connection.request(method, target, {}, body)
        return connection

    def send(self, message: Message) -> None:
        if isinstance(message, str):
            self.send_packet("4" + message)
        else:
            self.send_packet("b" + base64.b64encode(message).decode())

    def packets(self) -> list[Message]:
        """Poll until no response is available, and return the packets; binary ones as bytes."""
        found: list[Message] = []
        while True:
            if not self._is_polling:
                self._polls = self._request(self._polls, "GET")
            self._is_polling = True
            responses = self._polls.responses()
            if not responses:
                return found
            self._is_polling = False
            if responses[0].status != 200:
                self._is_refused = True
                return found
            found += _records(responses[0].text)
            if "1" in found:
                self._is_refused = True
                return found

    def messages(self) -> list[Message]:
        """Return the messages that have arrived."""
        return [each for each in map(_message, self.packets()) if each is not None]

    @property
    def is_over(self) -> bool:
        """Whether the client has received the end of its session."""
        if not self._is_refused:
            self.packets()
        return self._is_refused


class WebSocketClient:
    """A client on one WebSocket."""

    transport = "websocket"

    def __init__(self, server: Server, connection: Connection) -> None:
        self.server = server
        self.connection = connection
        self.tcp = connection.tcp
        self.handshake: dict[str, Any] = {}
        self.sid = ""
        self.session = server.sessions[-1] if server.sessions else None
        self.close_frame: bytes | None = None

    def feed(self, data: bytes) -> None:
        self.connection.feed(data)

    def frame(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        self.feed(client_frame(opcode, payload, **options))

    def frames(self) -> list[Frame]:
        """Return the frames that have arrived since the last call, and record a close frame."""
        frames = self.connection.frames()
        for frame in frames:
            if frame.opcode == CLOSE:
                self.close_frame = frame.payload
        return frames

    def texts(self) -> list[str]:
        return [frame.payload.decode() for frame in self.frames() if frame.opcode == TEXT]

    @property
    def close_code(self) -> int | None:
        """The code of the close frame, 1005 for a frame without a code, or None without a frame."""
        self.frames()
        if self.close_frame is None:
            return None
        return int.from_bytes(self.close_frame[:2], "big") if self.close_frame else 1005

    # -- common interface of both clients

    def send_packet(self, packet: str) -> None:
        self.frame(TEXT, packet.encode())

    def send(self, message: Message) -> None:
        if isinstance(message, str):
            self.send_packet("4" + message)
        else:
            self.frame(BINARY, message)

    def packets(self) -> list[Message]:
        """Return the packets that have arrived; binary ones as bytes."""
        return [
            frame.payload.decode() if frame.opcode == TEXT else frame.payload
            for frame in self.frames()
            if frame.opcode in {TEXT, BINARY}
        ]

    def messages(self) -> list[Message]:
        """Return the messages that have arrived."""
        return [each for each in map(_message, self.packets()) if each is not None]

    @property
    def is_over(self) -> bool:
        """Whether the client has received the end of its session."""
        return self.close_code is not None or self.tcp.is_over


Client = PollingClient | WebSocketClient


def _records(body: str) -> Iterator[Message]:
    for record in body.split("\x1e"):
        if record.startswith("b"):
            yield base64.b64decode(record[1:], validate=True)
        else:
            yield record


def _message(packet: Message) -> Message | None:
    if isinstance(packet, bytes):
        return packet
    return packet[1:] if packet.startswith("4") else None
