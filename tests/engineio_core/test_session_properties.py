"""Random event sequences: each session ends exactly once and leaves no state behind."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from engineio_core import EncodedPacket, Session, SessionState
from tests.helpers.client import Connection, PollingClient, Server, WebSocketClient
from tests.helpers.wire import TEXT, client_frame, http_request

SEQUENCES = 400
BATCHES = 10
STEPS = 60


class Simulation:
    """Engine with clients, and the random events that affect them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.server = Server(
            ping_interval=5,
            ping_timeout=3,
            upgrade_timeout=4,
            close_timeout=6,
            max_outbox_size=5_000,
            max_http_buffer_size=2_000,
        )
        self.ends: dict[str, int] = {}
        self.late_messages: list[str] = []
        self.server.engine.on("connection", self._watch)
        self.polling: list[PollingClient] = []
        self.websockets: list[WebSocketClient] = []
        self.connections: list[Connection] = []

    def _watch(self, session: Session) -> None:
        self.ends[session.sid] = 0

        def ended(reason: object, description: str) -> None:
            self.ends[session.sid] += 1
            assert session.sid not in self.server.engine.sessions
            if self.chance.random() < 0.2:
                session.close()

        def receive(message: str | bytes) -> None:
            if self.ends[session.sid]:
                self.late_messages.append(session.sid)
            self.chance.choice(
                (session.close, session.pause_reading, lambda: session.send_text("echo"))
                if self.chance.random() < 0.2
                else (lambda: None,)
            )()

        session.on_close, session.on_text, session.on_binary = ended, receive, receive

    def step(self) -> None:
        events: list[Callable[[], object]] = [
            self.open_polling,
            self.open_websocket,
            lambda: self.server.clock.advance(self.chance.choice((0.1, 1, 3, 9))),
        ]
        if self.polling:
            client = self.chance.choice(self.polling)
            events += [
                lambda: self.connections.append(client.poll()),
                lambda: self.connections.append(client.post(self.payload())),
                lambda: self.start_post(client),
                lambda: self.upgrade(client),
            ]
        if self.websockets:
            websocket = self.chance.choice(self.websockets)
            events += [
                lambda: websocket.feed(client_frame(TEXT, self.payload().encode())),
                lambda: websocket.send_packet("2probe"),
                lambda: websocket.send_packet("5"),
                lambda: websocket.frame(8, b"\x03\xe8"),
                websocket.tcp.lose,
                websocket.tcp.stall,
                websocket.tcp.unstall,
            ]
        if self.connections:
            events.append(self.chance.choice(self.connections).tcp.lose)
        if self.server.sessions:
            session = self.chance.choice(self.server.sessions)
            events += [
                lambda: session.send_text("x" * self.chance.choice((1, 900, 70_000))),
                lambda: session.send_volatile(EncodedPacket.message("v")),
                session.close,
                lambda: session.close(discard=True),
                session.pause_reading,
                session.resume_reading,
            ]
        self.chance.choice(events)()
        self.server.clock.run()
        self.check()

    def payload(self) -> str:
        return self.chance.choice(("4hello", "3", "2", "1", "6", "", "x", "4" + "y" * 3000))

    def open_polling(self) -> None:
        self.polling.append(self.server.open_polling())

    def open_websocket(self) -> None:
        self.websockets.append(self.server.open_websocket())

    def upgrade(self, client: PollingClient) -> None:
        connection = self.server.upgrade(sid=client.sid)
        if connection.response().status == 101:
            self.websockets.append(WebSocketClient(self.server, connection))

    def start_post(self, client: PollingClient) -> None:
        connection = self.server.connect()
        target = self.server.target(transport="polling", sid=client.sid)
        connection.feed(http_request("POST", target, {"Content-Length": "9"}) + b"4hal")
        self.connections.append(connection)

    def check(self) -> None:
        for session in self.server.sessions:
            is_open = session.sid in self.server.engine.sessions
            assert is_open == (session.state is not SessionState.CLOSED)
            assert self.ends[session.sid] == (0 if is_open else 1)
            if not is_open:
                assert session.outbox == ()
                assert session._deadline is None
        assert self.late_messages == []


@pytest.mark.parametrize("batch", range(BATCHES))
def test_session_ends_once_in_any_event_sequence(batch: int) -> None:
    for seed in range(batch, SEQUENCES, BATCHES):
        simulation = Simulation(seed)
        for _ in range(STEPS):
            simulation.step()
        simulation.server.engine.close()
        simulation.check()
        assert simulation.server.engine.sessions == {}
        assert set(simulation.ends.values()) <= {1}
        # All timers expire without further events.
        simulation.server.clock.advance(200)
        assert simulation.server.clock.pending == 0
        assert simulation.server.engine._connections == set()
