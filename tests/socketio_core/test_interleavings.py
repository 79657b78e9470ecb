"""Interleavings of everything that happens to two servers keep sessions, sockets and rooms right.

Two servers of a cluster have clients over polling and WebSocket on fake TCP: polls, posts,
upgrades, closes, joins, leaves, disconnects and messages of the other server come in any order.
After each step, the rooms agree with the events that the servers reported, and every socket belongs
to an open session. `test_session_properties` does the same for Engine.IO alone, and
`test_cluster_properties` for requests between servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from engineio_core.session_state import SessionState
from socketio_core import InProcessCluster, Namespace, Socket, SocketServer
from socketio_core.adapters.cluster.in_process import InProcessFactory
from tests.helpers.client import Connection, PollingClient, WebSocketClient
from tests.helpers.fake_clock import FakeClock
from tests.socketio_core.support import TcpServer

NAMESPACES = ("/", "/chat")
ROOMS = st.sampled_from(["red", "blue"])
PICK = st.integers(0, 1000)
PACKETS = st.sampled_from([
    '42["join","red"]', '42["join","blue"]', '42["leave","red"]', '421["ack"]', "40/chat,",
    '42/chat,["join","red"]', "3", "43[]",
])  # fmt: skip
RARE = st.sampled_from([
    "40", "41", "41/chat,", '42["leave_server"]', '451-["join",{"_placeholder":true,"num":0}]', "1",
    "4", "6", "49", '42["join"', "40/none,", "2probe", "5",
])  # fmt: skip


class Node:
    """One server, and the rooms and sockets that it has reported."""

    def __init__(self, clock: FakeClock, factory: InProcessFactory) -> None:
        self.factory = factory
        self.io = SocketServer(
            adapter=factory, connect_timeout=8, ping_interval=5, ping_timeout=3, upgrade_timeout=4,
            close_timeout=6,
        )  # fmt: skip
        self.tcp = TcpServer(self.io)
        self.tcp.clock = clock
        self.io.use_clock(clock)
        self.rooms: dict[str, dict[str, set[str]]] = {name: {} for name in NAMESPACES}
        self.life: dict[str, list[str]] = {}
        self.seen: list[Socket] = []
        for name in NAMESPACES:
            self._observe(self.io.of(name), self.rooms[name])
        self.io.on("ack", lambda socket: "answer")

    def _observe(self, namespace: Namespace, rooms: dict[str, set[str]]) -> None:
        def report(event: str, room: str, socket_id: str | None) -> None:
            match event, socket_id:
                case "create", None:
                    assert room not in rooms
                    rooms[room] = set()
                case "delete", None:
                    assert rooms.pop(room) == set()
                case "join", str():
                    assert socket_id not in rooms[room]
                    rooms[room].add(socket_id)
                case "leave", str():
                    rooms[room].remove(socket_id)
                case _:
                    raise AssertionError((event, socket_id))

        namespace.on_room_event(report)

        @namespace.on("connection")
        def connected(socket: Socket) -> None:
            assert self.life.setdefault(socket.id, []) == []
            self.life[socket.id].append("connection")
            self.seen.append(socket)

        @namespace.on("disconnecting")
        def leaving(socket: Socket, reason: str) -> None:
            self.life[socket.id].append("disconnecting")

        @namespace.on("disconnect")
        def left(socket: Socket, reason: str) -> None:
            assert socket.rooms == set()
            self.life[socket.id].append("disconnect")

        @namespace.on("join")
        def join(socket: Socket, room: str) -> None:
            socket.join(room)

        @namespace.on("leave")
        def leave(socket: Socket, room: str) -> None:
            socket.leave(room)

        @namespace.on("leave_server")
        def leave_server(socket: Socket) -> None:
            socket.disconnect(close=True)

    def check(self) -> None:
        """Compare sessions, sockets, rooms and the reports of them."""
        for session in self.io.engine.sessions.values():
            assert session.state is not SessionState.CLOSED
        members = set()
        for name in NAMESPACES:
            namespace = self.io.of(name)
            assert self.rooms[name] == namespace.rooms
            for socket in namespace.sockets.values():
                members.add(socket.id)
                assert socket.connected
                assert socket.session.sid in self.io.engine.sessions
                assert self.life[socket.id] == ["connection"]
            ids = set(namespace.sockets)
            for room, inside in namespace.rooms.items():
                assert inside, room
                assert inside <= ids, room
        for socket_id, events in self.life.items():
            if socket_id not in members:
                assert events == ["connection", "disconnecting", "disconnect"]


class Interleavings(RuleBasedStateMachine):
    """Two servers, their clients, and the messages between the servers."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.cluster = InProcessCluster(automatic=False)
        self.nodes: list[Node] = []
        self.polling: list[PollingClient] = []
        self.websockets: list[WebSocketClient] = []
        self.connections: list[Connection] = []
        self.do(self.start)

    def start(self) -> None:
        self.nodes = [Node(self.clock, self.cluster.join()) for _ in range(2)]
        for node in self.nodes:
            node.io._start()
            polling, websocket = node.tcp.open_polling(), node.tcp.open_websocket()
            self.polling.append(polling)
            self.websockets.append(websocket)
            for client, room in ((polling, "red"), (websocket, "blue")):
                client.send("0")
                client.send(f'2["join","{room}"]')
        self.cluster.deliver()

    def do(self, step: Callable[[], Any]) -> None:
        """Take a step in the event loop, run the due calls, and check all servers."""

        async def run() -> None:
            step()
            self.clock.run()
            for node in self.nodes:
                node.check()

        self.loop.run_until_complete(run())

    def pick(self, found: list[Any], index: int) -> Any:
        return found[index % len(found)]

    def sockets(self) -> list[Socket]:
        """Return all sockets, also those that have left."""
        return [socket for node in self.nodes for socket in node.seen]

    # -- clients

    @rule(node=PICK, is_polling=st.booleans(), joins=st.sampled_from([True, True, True, False]))
    def open(self, node: int, is_polling: bool, joins: bool) -> None:
        def step() -> None:
            tcp = self.pick(self.nodes, node).tcp
            client = tcp.open_polling() if is_polling else tcp.open_websocket()
            (self.polling if is_polling else self.websockets).append(client)
            if joins:
                client.send("0")

        self.do(step)

    @precondition(lambda self: self.polling)
    @rule(index=PICK)
    def poll(self, index: int) -> None:
        self.do(lambda: self.connections.append(self.pick(self.polling, index).poll()))

    @precondition(lambda self: self.polling)
    @rule(index=PICK, packets=st.lists(PACKETS, min_size=1, max_size=4) | st.lists(RARE))
    def post(self, index: int, packets: list[str]) -> None:
        body = "\x1e".join(packets)
        self.do(lambda: self.connections.append(self.pick(self.polling, index).post(body)))

    @precondition(lambda self: self.polling)
    @rule(index=PICK, packets=st.sampled_from([[], ["2probe"], ["2probe", "5"], ["5"]]))
    def upgrade(self, index: int, packets: list[str]) -> None:
        def step() -> None:
            polling = self.pick(self.polling, index)
            connection = polling.server.upgrade(sid=polling.sid)
            if connection.response().status == 101:
                websocket = WebSocketClient(polling.server, connection)
                self.websockets.append(websocket)
                for packet in packets:
                    websocket.send_packet(packet)

        self.do(step)

    @precondition(lambda self: self.websockets)
    @rule(index=PICK, packets=st.lists(PACKETS, min_size=1, max_size=4) | st.lists(RARE))
    def send(self, index: int, packets: list[str]) -> None:
        def step() -> None:
            websocket = self.pick(self.websockets, index)
            for packet in packets:
                websocket.send_packet(packet)

        self.do(step)

    @precondition(lambda self: self.websockets)
    @rule(index=PICK, how=st.sampled_from(["lose", "stall", "unstall", "close", "binary"]))
    def disturb(self, index: int, how: str) -> None:
        websocket = self.pick(self.websockets, index)
        steps: dict[str, Callable[[], Any]] = {
            "lose": websocket.tcp.lose,
            "stall": websocket.tcp.stall,
            "unstall": websocket.tcp.unstall,
            "close": lambda: websocket.frame(8, b"\x03\xe8"),
            "binary": lambda: websocket.frame(2, b"red"),
        }
        self.do(steps[how])

    @rule()
    def answer_pings(self) -> None:
        def step() -> None:
            for client in (*self.polling, *self.websockets):
                if client.sid in client.server.engine.sessions:
                    client.send_packet("3")

        self.do(step)

    @precondition(lambda self: self.connections)
    @rule(index=PICK)
    def lose_request(self, index: int) -> None:
        self.do(self.pick(self.connections, index).tcp.lose)

    # -- servers

    @precondition(lambda self: self.sockets())
    @rule(
        index=PICK,
        room=ROOMS,
        how=st.sampled_from(["join", "join", "join", "leave", "leave_all", "emit"]),
    )
    def change(self, index: int, room: str, how: str) -> None:
        socket = self.pick(self.sockets(), index)
        steps: dict[str, Callable[[], Any]] = {
            "join": lambda: socket.join(room),
            "leave": lambda: socket.leave(room),
            "leave_all": socket.leave_all,
            "emit": lambda: socket.emit("news", "x" * 1000, ack=lambda *args: None),
        }
        self.do(steps[how])

    @precondition(lambda self: self.sockets())
    @rule(index=PICK, close=st.booleans())
    def disconnect(self, index: int, close: bool) -> None:
        self.do(lambda: self.pick(self.sockets(), index).disconnect(close))

    @precondition(lambda self: any(node.io.engine.sessions for node in self.nodes))
    @rule(index=PICK, discard=st.booleans())
    def close_session(self, index: int, discard: bool) -> None:
        sessions = [each for node in self.nodes for each in node.io.engine.sessions.values()]
        self.do(lambda: self.pick(sessions, index).close(discard=discard))

    @rule(
        node=PICK, name=st.sampled_from(["/", "/", "/chat"]), room=ROOMS,
        how=st.sampled_from(["emit", "join", "join", "leave", "disconnect", "close", "volatile"]),
    )  # fmt: skip
    def act_on_a_room(self, node: int, name: str, room: str, how: str) -> None:
        """Act on a room of all servers; the other server acts when it receives the message."""
        target = self.pick(self.nodes, node).io.of(name).to(room)
        other = "blue" if room == "red" else "red"
        steps: dict[str, Callable[[], Any]] = {
            "emit": lambda: target.emit("news", "x" * 1000),
            "volatile": lambda: target.volatile.emit("news"),
            "join": lambda: target.sockets_join(other),
            "leave": lambda: target.sockets_leave(room),
            "disconnect": target.disconnect_sockets,
            "close": lambda: target.disconnect_sockets(True),
        }
        self.do(steps[how])

    @rule(messages=st.integers(1, 10))
    def deliver(self, messages: int) -> None:
        self.do(lambda: self.cluster.deliver(messages))

    @rule(node=PICK, cut=st.booleans())
    def change_link(self, node: int, cut: bool) -> None:
        factory = self.pick(self.nodes, node).factory
        self.do(factory.disconnect if cut else factory.reconnect)

    @rule(seconds=st.sampled_from([0.1, 0.1, 1.0, 1.0, 3.0, 9.0]))
    def wait(self, seconds: float) -> None:
        self.do(lambda: self.clock.advance(seconds))

    # -- the end

    def teardown(self) -> None:
        """Close both servers: no session, socket, room or deadline remains."""

        def end() -> None:
            for node in self.nodes:
                node.io.engine.close()
            self.cluster.deliver()

        self.do(end)
        for node in self.nodes:
            self.loop.run_until_complete(node.io._dispatch.runner.close(0))
            assert node.io.engine.sessions == {}
            assert node.io._connections == set()
            for name in NAMESPACES:
                namespace = node.io.of(name)
                assert namespace.sockets == {}
                assert namespace.rooms == {}
        self.loop.close()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=120, stateful_step_count=40)
