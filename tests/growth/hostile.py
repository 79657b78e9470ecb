"""Cycles of hostile clients on fake TCP: each function is one client from its start to its end."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from engineio_core.codec.payload_v3 import decode_text_payload
from socketio_core import ConnectError, InProcessCluster, Recovery, Socket, SocketServer
from socketio_core.admin.instrument import instrument
from tests.engineio_core.asgi.support import Host
from tests.engineio_core.webtransport.support import OPEN, frame
from tests.engineio_core.webtransport.support import Client as WebTransportClient
from tests.helpers.client import PollingClient, WebSocketClient
from tests.helpers.fake_clock import FakeClock
from tests.helpers.wire import CONT, TEXT, client_frame, http_request
from tests.socketio_core.support import TcpServer, join

RECOVERY = 30.0
#: Longer than recovery and all deadlines of the servers together.
LONG = 120.0


class Servers:
    """Two servers of a cluster with all features, on one clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = InProcessCluster(automatic=False)
        self.waiting = asyncio.Event()
        self.tcp = [self._start() for _ in range(2)]
        # Recovery in memory, without other servers
        self.alone = self._start(is_clustered=False)
        self.cluster.deliver()
        # Each cycle uses the same objects of these kinds.
        self.asgi = self.alone.io.asgi_app()

    def _start(self, *, is_clustered: bool = True) -> TcpServer:
        io = SocketServer(
            adapter=self.cluster.join() if is_clustered else None,
            recovery=Recovery(max_disconnection_duration=RECOVERY), allow_eio3=True,
            cleanup_empty_child_namespaces=True, max_outbox_size=50_000,
            transports=("polling", "websocket", "webtransport"),
        )  # fmt: skip
        instrument(io, auth=False, mode="development")

        async def wait(socket: Socket) -> None:
            await self.waiting.wait()

        async def refuse(socket: Socket) -> None:
            await asyncio.sleep(0)
            if socket.handshake.auth.get("refuse"):
                raise ConnectError("refused", {"reason": "test"})
            if socket.handshake.auth.get("wait"):
                await self.waiting.wait()

        for namespace in (io, io.of(re.compile(r"/dynamic-\d+"))):
            namespace.on("echo", lambda socket, value: value)
            namespace.on("join", lambda socket, room: socket.join(room))
            namespace.on("wait", wait)
        io.of("/guarded").use(refuse)
        tcp = TcpServer(io)
        tcp.clock = self.clock
        io.use_clock(self.clock)
        io._start()
        return tcp

    async def settle(self) -> None:
        """Run the tasks and messages that are due."""
        for _ in range(10):
            self.clock.run()
            self.cluster.deliver()
            await asyncio.sleep(0)

    async def end_of_cycle(self) -> None:
        """Let all deadlines end, and forget what the test has recorded."""
        self.waiting.set()
        await self.settle()
        for _ in range(4):
            self.clock.advance(LONG / 4)
            await self.settle()
        self.waiting.clear()
        for tcp in (*self.tcp, self.alone):
            assert not tcp.engine.sessions, tcp.engine.sessions
            tcp.sessions.clear()
            tcp.errors.clear()

    async def close(self) -> None:
        for tcp in (*self.tcp, self.alone):
            await tcp.io._dispatch.runner.close(0)
            tcp.engine.close()


Act = Callable[[Servers, TcpServer], Any]


def lost(client: PollingClient | WebSocketClient) -> None:
    """End the connections of a client without a close packet."""
    if isinstance(client, WebSocketClient):
        client.tcp.lose()
    else:
        client._polls.tcp.lose()
        client._posts.tcp.lose()


def half_handshakes(servers: Servers, tcp: TcpServer) -> None:
    request = http_request("GET", tcp.target(transport="polling"))
    for size in (1, 20, len(request) - 1):
        connection = tcp.connect()
        connection.feed(request[:size])
        connection.tcp.lose()
    connection = tcp.connect()
    connection.feed(request[:20])  # its deadline ends it
    tcp.get(transport="polling", sid="unknown").tcp.lose()
    tcp.get(transport="polling").tcp.lose()  # a session without a client


def aborted_polls(servers: Servers, tcp: TcpServer) -> None:
    first = tcp.open_polling()
    join(first)
    first.poll().tcp.lose()
    second = tcp.open_polling()
    second.poll()
    second.poll()  # a second poll closes the session
    third = tcp.open_polling()
    third.post("40")
    lost(third)


def aborted_uploads(servers: Servers, tcp: TcpServer) -> None:
    client = tcp.open_polling()
    join(client)
    request = http_request(
        "POST", tcp.target(transport="polling", sid=client.sid), body=b"4" * 30_000
    )
    for size in (len(request) - 30_000, len(request) - 10):
        connection = tcp.connect()
        connection.feed(request[:size])
        connection.tcp.lose()


def aborted_upgrades(servers: Servers, tcp: TcpServer) -> None:
    for packets in ([], ["2probe"], ["2probe", "5"], ["5"], ["2probe", "5", '42["echo",1]']):
        client = tcp.open_polling()
        join(client)
        websocket = client.upgrade()
        for packet in packets:
            websocket.send_packet(packet)
        websocket.tcp.lose()
        lost(client)
    client = tcp.open_polling()
    client.upgrade()  # the deadline of the upgrade ends it


def half_messages(servers: Servers, tcp: TcpServer) -> None:
    for data in (
        client_frame(TEXT, b'42["echo",1]')[:-3],
        client_frame(TEXT, b'42["echo"', fin=False),
        client_frame(CONT, b"x"),
        client_frame(TEXT, b"\xff"),
    ):
        client = tcp.open_websocket()
        join(client)
        client.feed(data)
        client.tcp.lose()


def invalid_packets(servers: Servers, tcp: TcpServer) -> None:
    for packet in ("49", "42[", "47", "452-[]", '43999["x"]', "40", "42/none,[]", "6", "x"):
        client = tcp.open_websocket()
        join(client)
        client.send_packet(packet)
        client.tcp.lose()


def missing_attachments(servers: Servers, tcp: TcpServer) -> None:
    client = tcp.open_websocket()
    join(client)
    client.send_packet('452-["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    client.send(b"x" * 1000)
    client.tcp.lose()


async def pending_acks(servers: Servers, tcp: TcpServer) -> None:
    """Leave with acks pending in both directions, one of them in a broadcast."""
    client = tcp.open_websocket()
    join(client)
    (socket,) = list(tcp.io.sockets.values())
    socket.emit("question", ack=lambda *args: None)
    socket.timeout(5).emit("question", ack=lambda *args: None)
    waiting = [
        asyncio.ensure_future(socket.emit_with_ack("question")),
        asyncio.ensure_future(socket.timeout(5).emit_with_ack("question")),
        asyncio.ensure_future(tcp.io.timeout(5).emit_with_ack("question")),
        asyncio.ensure_future(tcp.io.timeout(5).fetch_sockets()),
    ]
    client.send_packet('421["wait"]')
    await servers.settle()
    client.tcp.lose()
    await servers.settle()
    servers.clock.advance(10)
    await servers.settle()
    await asyncio.gather(*waiting, return_exceptions=True)


def rooms(servers: Servers, tcp: TcpServer) -> None:
    for transport in ("polling", "websocket"):
        client = tcp.open(transport)
        join(client)
        for number in range(20):
            client.send_packet(f'42["join","room-{id(client)}-{number}"]')
        client.send_packet("41")
        lost(client)


async def expired_recovery(servers: Servers, tcp: TcpServer) -> None:
    """Lose two clients; one of them returns to its session."""
    for returns in (True, False):
        client = tcp.open_websocket()
        auth = join(client)
        client.send_packet('42["join","red"]')
        tcp.io.to("red").emit("news", "x" * 100)
        (message,) = client.messages()
        assert isinstance(message, str)
        offset = json.loads(message[1:])[-1]
        client.tcp.lose()
        tcp.io.to("red").emit("news", "missed")
        if returns:
            again = tcp.open_websocket()
            again.send("0" + json.dumps({"pid": auth["pid"], "offset": offset}))
            await servers.settle()
            again.tcp.lose()


async def connect_attempts(servers: Servers, tcp: TcpServer) -> None:
    """Send CONNECT packets that are refused, unknown, too late, or whose client leaves."""
    refused, waiting, leaving = (tcp.open_websocket() for _ in range(3))
    refused.send('0/guarded,{"refuse":true}')
    refused.send("0/none")
    for client in (waiting, leaving):
        client.send('0/guarded,{"wait":true}')
    await servers.settle()
    leaving.tcp.lose()
    tcp.open("polling")  # joins no namespace


def dynamic_namespaces(servers: Servers, tcp: TcpServer) -> None:
    for number in range(5):
        client = tcp.open_websocket()
        name = f"/dynamic-{number}"
        join(client, name)
        client.send_packet(f'42{name},["join","red"]')
        if number % 2:
            client.send_packet(f"41{name}")
        client.tcp.lose()


def other_server(servers: Servers, tcp: TcpServer) -> None:
    """Change rooms and sockets from the other server."""
    client = tcp.open_websocket()
    join(client)
    other = servers.tcp[0] if tcp is servers.tcp[1] else servers.tcp[1]
    other.io.sockets_join("far")
    servers.cluster.deliver()
    other.io.to("far").emit("news", 1)
    other.io.server_side_emit("event", 1)
    other.io.to("far").sockets_leave("far")
    servers.cluster.deliver()
    other.io.disconnect_sockets(True)
    servers.cluster.deliver()


def old_clients(servers: Servers, tcp: TcpServer) -> None:
    for end in ("lose", "disconnect", "upgrade"):
        query = {"EIO": "3", "transport": "polling"}
        opened, *_ = decode_text_payload(tcp.get(**query).response().body)
        assert isinstance(opened, str)
        query["sid"] = json.loads(opened[1:])["sid"]
        tcp.post(b'12:42["echo",1]', **query)
        if end == "upgrade":
            candidate = WebSocketClient(tcp, tcp.upgrade(EIO="3", sid=query["sid"]))
            candidate.send_packet("2probe")
            candidate.tcp.lose()
        client = WebSocketClient(tcp, tcp.upgrade(EIO="3"))
        client.send_packet("40/dynamic-1")
        client.send_packet('42/dynamic-1,["join","red"]')
        if end == "disconnect":
            client.send_packet("41")
        client.tcp.lose()


def slow_consumers(servers: Servers, tcp: TcpServer) -> None:
    client = tcp.open_websocket()
    join(client)
    client.tcp.stall()
    for _ in range(30):
        tcp.io.emit("news", "x" * 10_000)
    polling = tcp.open_polling()
    join(polling)
    for _ in range(30):
        tcp.io.emit("news", "x" * 10_000)


def admins(servers: Servers, tcp: TcpServer) -> None:
    admin, client = tcp.open_websocket(), tcp.open_websocket()
    admin.send("0/admin,")
    join(client)
    client.send_packet('42["echo",1]')
    servers.clock.advance(3)
    client.tcp.lose()
    admin.tcp.lose()


def disconnected_by_the_server(servers: Servers, tcp: TcpServer) -> None:
    for close in (True, False):
        for transport in ("polling", "websocket"):
            client = tcp.open(transport)
            join(client)
            join(client, "/dynamic-7")
            tcp.io.disconnect_sockets(close)
            lost(client)


async def asgi_requests(servers: Servers, tcp: TcpServer) -> None:
    """Cancel requests and close a WebSocket, as a host does."""
    path, query = "/socket.io/", "EIO=4&transport=polling"
    opened = Host(servers.asgi, "http", path, query, method="GET")
    _, body, _ = await opened.response()
    sid = json.loads(body[1:])["sid"]
    poll = Host(servers.asgi, "http", path, f"{query}&sid={sid}", method="GET")
    poll.deliver("http.request", body=b"", more_body=False)
    upload = Host(
        servers.asgi, "http", path, f"{query}&sid={sid}", method="POST",
        headers={"content-length": "1000"},
    )  # fmt: skip
    upload.deliver("http.request", body=b"40", more_body=True)
    websocket = Host(servers.asgi, "websocket", path, "EIO=4&transport=websocket", subprotocols=[])
    websocket.deliver("websocket.connect")
    await websocket.wait_for(2)
    websocket.deliver("websocket.receive", text="40")
    await servers.settle()
    websocket.deliver("websocket.disconnect", code=1006)
    for host in (poll, upload):
        host.deliver("http.disconnect")
    await servers.settle()
    for host in (poll, upload, websocket):
        if not host.task.done():
            host.task.cancel()
        await asyncio.gather(host.task, return_exceptions=True)


async def webtransport_sessions(servers: Servers, tcp: TcpServer) -> None:
    """Lose a session that has joined, one without a handshake, and one in its upgrade."""
    for packets in ([OPEN, frame(b"40"), frame(b'42["join","red"]')], [], [OPEN[:1]]):
        client = WebTransportClient(tcp.engine)
        await client.send(*packets)
        client.transport.stream_ended("lost")
    polling = tcp.open_polling()
    upgraded = WebTransportClient(tcp.engine)
    await upgraded.send(frame(b'0{"sid":"%b"}' % polling.sid.encode()), frame(b"2probe"))
    upgraded.transport.stream_ended("lost")


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (
        half_handshakes, aborted_polls, aborted_uploads, aborted_upgrades, half_messages,
        invalid_packets, missing_attachments, pending_acks, rooms, expired_recovery,
        connect_attempts, dynamic_namespaces, other_server, old_clients, slow_consumers, admins,
        disconnected_by_the_server, asgi_requests, webtransport_sessions,
    )
}  # fmt: skip
