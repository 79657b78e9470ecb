"""Interleavings of everything that happens to two servers keep sessions, sockets and rooms right.

Two servers of a cluster have clients of both revisions over polling and WebSocket on fake TCP:
polls, posts in one piece and in several, upgrades, closes, joins, leaves, disconnects, lost
connections and returns to their sessions, namespaces that clients create, refused and late connect
attempts, acks, attachments, messages of the other server, which may be lost, repeated or delayed,
requests to it and to its clients, and the replacement of a server come in any order. After each
step, the rooms agree with the events that the servers reported, every socket belongs to an open
session, and the accounts of memory agree with the queues. `test_session_properties` does the same
for Engine.IO alone, and `test_cluster_properties` for requests between more servers.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from engineio_core.session_state import SessionState
from socketio_core import (
    ConnectError,
    InProcessCluster,
    Namespace,
    Recovery,
    Socket,
    SocketServer,
)
from socketio_core.adapters.cluster.in_process import InProcessFactory
from tests.helpers.client import Connection, PollingClient, WebSocketClient
from tests.helpers.fake_clock import FakeClock
from tests.helpers.wire import http_request
from tests.socketio_core.support import TcpServer

NAMESPACES = ("/", "/chat", "/guarded")
DYNAMIC = re.compile(r"/dynamic-\d")
RECOVERY = 20.0
#: Longer than all deadlines of the servers together.
LONG = 200.0
ROOMS = st.sampled_from(["red", "blue"])
PICK = st.integers(0, 1000)
PACKETS = st.sampled_from([
    '42["join","red"]', '42["join","blue"]', '42["leave","red"]', '421["ack"]', "40/chat,",
    '42/chat,["join","red"]', "3", "43[]", "40/dynamic-1,", '42/dynamic-1,["join","red"]',
    "41/dynamic-1,", "40/guarded,", '421["wait"]', "430[]", "431[]", "432[]",
])  # fmt: skip
RARE = st.sampled_from([
    "40", "41", "41/chat,", '42["leave_server"]', '451-["join",{"_placeholder":true,"num":0}]', "1",
    "4", "6", "49", '42["join"', "40/none,", "2probe", "5",
])  # fmt: skip


#: The text of an event with one attachment.
ATTACHMENT = '451-["join",{"_placeholder":true,"num":0}]'


class Node:
    """One server, and the rooms and sockets that it has reported."""

    def __init__(self, clock: FakeClock, factory: InProcessFactory) -> None:
        self.factory = factory
        self.io = SocketServer(
            adapter=factory, connect_timeout=8, ping_interval=5, ping_timeout=3, upgrade_timeout=4,
            close_timeout=6, allow_eio3=True, cleanup_empty_child_namespaces=True,
            recovery=Recovery(max_disconnection_duration=RECOVERY), max_outbox_size=100_000,
        )  # fmt: skip
        self.tcp = TcpServer(self.io)
        self.tcp.clock = clock
        self.io.use_clock(clock)
        self.rooms: dict[str, dict[str, set[str]]] = {}
        self.life: dict[str, list[str]] = {}
        self.seen: list[Socket] = []
        #: Whether each connect attempt to "/guarded" succeeds, when it is decided.
        self.attempts: list[asyncio.Future[bool]] = []
        #: Set to end the handlers that wait.
        self.handlers = asyncio.Event()
        for name in NAMESPACES:
            self._observe(self.io.of(name))
        self.io.of(DYNAMIC)
        self.io.on_new_namespace(self._observe)
        self.io.of("/guarded").use(self._guard)
        self.io.on("ack", lambda socket: "answer")
        self.io.on("wait", self._wait)
        self.io.on_server_event("count", lambda: len(self.seen))

    async def _guard(self, socket: Socket) -> None:
        decision = asyncio.get_running_loop().create_future()
        self.attempts.append(decision)
        if not await decision:
            raise ConnectError("refused")

    async def _wait(self, socket: Socket) -> None:
        await self.handlers.wait()

    def _observe(self, namespace: Namespace) -> None:
        rooms: dict[str, set[str]] = {}
        assert not self.rooms.get(namespace.name), "a namespace without sockets has no rooms"
        self.rooms[namespace.name] = rooms

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
            before = self.life.get(socket.id, [])
            assert before == (["connection", "disconnecting", "disconnect"] if before else [])
            # Clients of Socket.IO 2 have one ID per namespace as long as they are connected.
            assert socket.recovered or not before or socket.session.protocol == 3
            self.life[socket.id] = ["connection"]
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
        queued = sum(session._outbox_size for session in self.io.engine.sessions.values())
        assert self.io.engine._budgets.queued.used == queued
        connections = {each.session.sid for each in self.io._connections}
        assert connections == set(self.io.engine.sessions)
        members = set()
        for name, rooms in self.rooms.items():
            if name not in self.io.namespaces:
                assert rooms == {}
        for name, namespace in self.io.namespaces.items():
            assert self.rooms[name] == namespace.rooms
            assert namespace._attempts >= len(namespace._returning)
            for pid, socket in namespace._by_pid.items():
                assert socket.pid == pid
                assert namespace.sockets[socket.id] is socket
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
        #: The pid and the last offset of clients, with the number of their server.
        self.absent: list[tuple[int, str, str]] = []
        #: Requests to the clients of all servers and to the other server.
        self.requests: list[asyncio.Task[Any]] = []
        #: The connections of posts that have begun, with the rest of their bodies.
        self.unfinished: list[tuple[Connection, bytes]] = []
        #: Servers that others have replaced.
        self.ended: list[Node] = []
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
            for _ in range(4):  # of tasks: handlers, middlewares
                self.clock.run()
                await asyncio.sleep(0)
            self.clock.run()
            for node in (*self.nodes, *self.ended):
                node.check()

        self.loop.run_until_complete(run())

    def pick(self, found: list[Any], index: int) -> Any:
        return found[index % len(found)]

    def sockets(self) -> list[Socket]:
        """Return all sockets, also those that have left."""
        return [socket for node in (*self.nodes, *self.ended) for socket in node.seen]

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

    @rule(node=PICK, is_polling=st.booleans(), packets=st.lists(PACKETS, max_size=3))
    def open_old(self, node: int, is_polling: bool, packets: list[str]) -> None:
        """Open a session of revision 3, which joins "/" at once."""

        def step() -> None:
            tcp = self.pick(self.nodes, node).tcp
            if is_polling:
                self.connections.append(tcp.get(EIO="3", transport="polling"))
            else:
                websocket = WebSocketClient(tcp, tcp.upgrade(EIO="3"))
                websocket.texts()
                self.websockets.append(websocket)
                for packet in packets:
                    websocket.send_packet(packet.removesuffix(","))

        self.do(step)

    @rule(node=PICK, end=st.sampled_from(["lose", "lose", "close", "stay"]))
    def open_recoverable(self, node: int, end: str) -> None:
        """Join with recovery, read an offset, and leave."""

        def step() -> None:
            number = node % len(self.nodes)
            client = self.nodes[number].tcp.open_websocket()
            client.send("0")
            client.send('2["join","red"]')
            self.nodes[number].io.to("red").emit("news")
            for message in client.messages():
                if isinstance(message, str) and message.startswith("0{"):
                    pid = json.loads(message[1:])["pid"]
                elif isinstance(message, str) and message.startswith('2["news"'):
                    self.absent.append((number, pid, json.loads(message[1:])[-1]))
                    break
            self.websockets.append(client)
            if end == "lose":
                client.tcp.lose()
            elif end == "close":
                client.send_packet("1")

        self.do(step)

    @precondition(lambda self: self.absent)
    @rule(index=PICK, returns_to_other=st.booleans())
    def return_to_session(self, index: int, returns_to_other: bool) -> None:
        """Return to a session that may be open, ended, restored, or on the other server."""

        def step() -> None:
            number, pid, offset = self.pick(self.absent, index)
            number = (number + returns_to_other) % len(self.nodes)
            client = self.nodes[number].tcp.open_websocket()
            client.send("0" + json.dumps({"pid": pid, "offset": offset}))
            self.websockets.append(client)

        self.do(step)

    @precondition(lambda self: any(node.attempts for node in self.nodes))
    @rule(index=PICK, accepts=st.booleans())
    def decide_attempt(self, index: int, accepts: bool) -> None:
        """Let a middleware of "/guarded" accept or refuse a client, which may have left."""

        def step() -> None:
            attempts = [each for node in self.nodes for each in node.attempts]
            decision = self.pick(attempts, index)
            if not decision.done():
                decision.set_result(accepts)

        self.do(step)

    @rule(node=PICK)
    def end_handlers(self, node: int) -> None:
        def step() -> None:
            self.pick(self.nodes, node).handlers.set()
            self.pick(self.nodes, node).handlers = asyncio.Event()

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
    @rule(index=PICK, packets=st.lists(PACKETS, min_size=1, max_size=4), share=st.integers(0, 9))
    def begin_post(self, index: int, packets: list[str], share: int) -> None:
        """Send the head of a post and a part of its body."""

        def step() -> None:
            client = self.pick(self.polling, index)
            body = "\x1e".join(packets).encode()
            connection = client.server.connect()
            target = client.server.target(transport="polling", sid=client.sid)
            wire = http_request("POST", target, (), body)
            cut = len(wire) - len(body) + len(body) * share // 10
            connection.feed(wire[:cut])
            self.connections.append(connection)
            self.unfinished.append((connection, wire[cut:]))

        self.do(step)

    @precondition(lambda self: self.unfinished)
    @rule(index=PICK)
    def finish_post(self, index: int) -> None:
        """Send the rest of a post, whose session may be upgraded or closed."""
        connection, rest = self.unfinished.pop(index % len(self.unfinished))
        self.do(lambda: connection.feed(rest))

    @precondition(lambda self: self.websockets)
    @rule(index=PICK, room=ROOMS)
    def send_attachment(self, index: int, room: str) -> None:
        """Send an event with an attachment: "join" receives bytes, which are not a room."""

        def step() -> None:
            websocket = self.pick(self.websockets, index)
            websocket.send_packet("4" + ATTACHMENT)
            websocket.frame(2, room.encode())

        self.do(step)

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
        how=st.sampled_from(["join", "join", "join", "leave", "leave_all", "emit", "timed"]),
    )
    def change(self, index: int, room: str, how: str) -> None:
        socket = self.pick(self.sockets(), index)
        steps: dict[str, Callable[[], Any]] = {
            "join": lambda: socket.join(room),
            "leave": lambda: socket.leave(room),
            "leave_all": socket.leave_all,
            "emit": lambda: socket.emit("news", "x" * 1000, ack=lambda *args: None),
            "timed": lambda: socket.timeout(3).emit("news", ack=lambda *args: None),
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

    @rule(
        node=PICK, name=st.sampled_from(["/", "/", "/chat"]), room=ROOMS,
        how=st.sampled_from(["acks", "sockets", "count"]),
    )  # fmt: skip
    def request(self, node: int, name: str, room: str, how: str) -> None:
        """Request acks, sockets or a number; answers may be late, lost or behind a cut link."""

        async def run() -> None:
            target = self.pick(self.nodes, node).io.of(name).to(room).timeout(3)
            if how == "acks":
                answers = await target.emit_with_ack("news")
                assert len(answers.missing) == len(set(answers.missing))
            elif how == "sockets":
                found = await target.fetch_sockets()
                assert 0 <= found.missing_servers <= 1 + len(self.ended)
                assert len({each.id for each in found}) == len(found)
            else:
                counts = await target.server_side_emit_with_ack("count")
                assert len(counts) + counts.missing_servers <= 1 + len(self.ended)

        self.do(lambda: self.requests.append(asyncio.ensure_future(run())))

    @rule(messages=st.integers(1, 10))
    def deliver(self, messages: int) -> None:
        self.do(lambda: self.cluster.deliver(messages))

    @rule(node=PICK, cut=st.booleans())
    def change_link(self, node: int, cut: bool) -> None:
        factory = self.pick(self.nodes, node).factory
        self.do(factory.disconnect if cut else factory.reconnect)

    @precondition(lambda self: self.cluster.queue)
    @rule(how=st.sampled_from(["lose", "repeat", "delay"]))
    def disturb_messages(self, how: str) -> None:
        """Lose, repeat or delay the next message between the servers."""
        queue = self.cluster.queue
        if how == "lose":
            queue.popleft()
        elif how == "repeat":
            queue.append(queue[0])
        else:
            queue.rotate(-1)

    @precondition(lambda self: len(self.ended) < 2)
    @rule(node=PICK)
    def replace_server(self, node: int) -> None:
        """End a server, while its clients and the other server go on, and start another one."""
        old = self.nodes.pop(node % len(self.nodes))
        self.ended.append(old)
        self.do(old.io.engine.close)
        self.loop.run_until_complete(old.io._dispatch.runner.close(0))

        def step() -> None:
            for namespace in old.io.namespaces.values():
                namespace._server_ended()
            old.factory.disconnect()
            new = Node(self.clock, self.cluster.join())
            new.io._start()
            self.nodes.append(new)

        self.do(step)

    @rule(seconds=st.sampled_from([0.1, 0.1, 1.0, 1.0, 3.0, 9.0]))
    def wait(self, seconds: float) -> None:
        self.do(lambda: self.clock.advance(seconds))

    # -- the end

    def teardown(self) -> None:
        """Close both servers: no session, socket, room, attempt, memory or deadline remains."""

        def end() -> None:
            for node in self.nodes:
                node.io.engine.close()
            self.cluster.deliver()

        self.do(end)
        every = [*self.nodes, *self.ended]
        for node in every:
            self.loop.run_until_complete(node.io._dispatch.runner.close(0))
            assert node.io.engine.sessions == {}
            assert node.io._connections == set()
            assert node.io._dispatch.runner.tasks == set()
        for connection in self.connections:
            connection.tcp.lose()
        for client in (*self.polling, *self.websockets):
            for tcp in (client.tcp,) if isinstance(client, WebSocketClient) else (
                client._polls.tcp, client._posts.tcp,
            ):  # fmt: skip
                tcp.lose()
        self.do(lambda: self.clock.advance(LONG))
        for node in every:
            assert node.io.engine._budgets.queued.used == 0
            for namespace in node.io.namespaces.values():
                assert namespace.sockets == namespace._by_pid == namespace._returning == {}
                assert namespace.rooms == {}
                assert namespace._attempts == 0
                # The end of a server cancels the timer that removes sessions.
                assert node in self.ended or not namespace.adapter._log.has_sessions
                namespace._server_ended()
        self.do(self.cluster.deliver)
        self.clock.advance(LONG)
        for request in self.requests:
            assert request.done(), "a request has no end"
            request.result()
        assert self.clock.pending == 0, [each[2]._callback for each in self.clock._timers]
        self.loop.close()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=120, stateful_step_count=40)
