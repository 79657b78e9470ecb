"""Connection state recovery: a client that comes back has missed nothing and gets nothing twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import ConnectError, Recovery, Socket, SocketServer
from socketio_core.testing import TestClient, TestServer, settle
from tests.socketio_core.support import Journal, TcpServer, join


def make(**rules: Any) -> SocketServer:
    return SocketServer(recovery=Recovery(**rules), ping_interval=25, ping_timeout=20)


def events(client: TestClient) -> list[tuple[str, list[Any]]]:
    """What came, without the offsets."""
    return [(name, args[:-1]) for name, args in client.received]


async def test_a_client_that_comes_back_is_who_it_was_and_gets_what_it_missed() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        await socket.join("room")
        socket.data["user"] = "alice"
        io.emit("before")
        client.connection.cut()
        io.emit("missed by all", 1)
        io.to("room").emit("missed by the room", 2)
        socket.emit("missed by it", 3)
        io.to("other").emit("not for it")
        again = await server.connect(recovering=client)
        assert (again.id, again.pid) == (client.id, client.pid)
        assert events(again) == [
            ("missed by all", [1]), ("missed by the room", [2]), ("missed by it", [3]),
        ]  # fmt: skip
        back = io.sockets[again.id]
        assert back.recovered
        assert back.rooms == {client.id, "room"}
        assert back.data == {"user": "alice"}


async def test_what_was_missed_is_written_before_the_connect(transport: str) -> None:
    io = make()
    tcp = TcpServer(io)
    first = tcp.open(transport)
    first.send("0")
    (answer,) = first.messages()
    (socket,) = io.sockets.values()
    io.emit("seen")
    (seen,) = first.messages()
    offset = str(seen).split('"')[-2]
    first.send_packet("1")
    for number in (1, 2, 3):
        io.emit(f"hello{number}")
    second = tcp.open(transport)
    second.send(f'0{{"pid":"{socket.pid}","offset":"{offset}"}}')
    *missed, connect = [str(each) for each in second.messages()]
    assert [each[:10] for each in missed] == [f'2["hello{n}"' for n in (1, 2, 3)]
    assert connect == answer


async def test_recovery_is_off_unless_asked_for() -> None:
    io = SocketServer()
    async with TestServer(io) as server:
        client = await server.connect()
        assert client.pid is None
        io.emit("x", 1)
        assert client.received == [("x", [1])]
        client.connection.cut()
        again = await server.connect(auth={"pid": "abc", "offset": "1-1"})
        assert not io.sockets[again.id].recovered


@pytest.mark.parametrize("auth", [
    {"pid": "unknown", "offset": "a-1"}, {"pid": 7}, {"pid": ["a"]}, {"offset": "a-1"}, {"pid": ""},
])  # fmt: skip
async def test_an_unknown_session_is_a_new_one(auth: dict[str, Any]) -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect(auth=auth)
        assert client.pid
        assert client.pid != auth.get("pid")
        assert not io.sockets[client.id].recovered


@pytest.mark.parametrize("offset", ["", "1", "x-1", "{origin}-999", "{origin}--1", "{origin}-x", 7])
async def test_an_offset_that_is_not_ours_recovers_nothing(offset: Any) -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("x")
        origin = str(client.last_offset).rpartition("-")[0]
        client.connection.cut()
        given = offset.replace("{origin}", origin) if isinstance(offset, str) else offset
        again = await server.connect(auth={"pid": client.pid, "offset": given})
        assert again.id != client.id


async def test_middlewares_are_skipped_for_who_has_passed_them() -> None:
    io = make()
    seen: list[bool] = []
    io.use(lambda socket: seen.append(socket.recovered))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        await server.connect(recovering=client)
    assert seen == [False]


async def test_middlewares_run_again_if_they_are_to() -> None:
    io = make(skip_middlewares=False)
    seen: list[bool] = []
    io.use(lambda socket: seen.append(socket.recovered))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        assert (await server.connect(recovering=client)).id == client.id
    assert seen == [False, True]


async def test_a_middleware_may_refuse_who_comes_back() -> None:
    io = make(skip_middlewares=False)

    @io.use
    def refuse(socket: Socket) -> None:
        if socket.recovered:
            raise ConnectError("revoked")

    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        with pytest.raises(ConnectError, match="revoked"):
            await server.connect(recovering=client)
        assert io.main.rooms == {}


async def test_a_connection_event_follows_a_recovery_too() -> None:
    io = make()
    seen: list[bool] = []
    io.on("connection", lambda socket: seen.append(socket.recovered))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        await server.connect(recovering=client)
    assert seen == [False, True]


async def test_a_client_recovers_that_has_seen_no_event_yet() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        io.emit("missed", 1)
        assert client.last_offset is None
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("missed", [1])]


async def test_what_was_sent_before_a_client_came_is_not_given_to_it() -> None:
    io = make()
    async with TestServer(io) as server:
        await server.connect()
        io.emit("before it came")
        client = await server.connect()
        client.connection.cut()
        again = await server.connect(recovering=client)
        assert again.received == []


async def test_a_client_recovers_that_has_been_idle_for_longer_than_the_window() -> None:
    io = make(max_disconnection_duration=60)
    async with TestServer(io) as server:
        client, other = await server.connect(), await server.connect()
        io.emit("seen")
        await server.advance(10_000)
        io.to(other.id).emit("not for it")
        await server.advance(10_000)
        client.connection.cut()
        io.emit("missed")
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("missed", [])]


async def test_a_client_that_is_gone_for_too_long_starts_anew() -> None:
    io = make(max_disconnection_duration=60)
    async with TestServer(io) as server:
        early, late = await server.connect(), await server.connect()
        early.connection.cut()
        late.connection.cut()
        await server.advance(59)
        assert (await server.connect(recovering=early)).id == early.id
        await server.advance(2)
        assert (await server.connect(recovering=late)).id != late.id


async def test_a_client_takes_over_from_its_old_connection_that_seems_alive() -> None:
    io = make()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(reason))
    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("seen")
        client.connection.pause()  # it is dead, and nobody knows
        io.emit("missed", 1)
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("missed", [1])]
        assert client.connection.is_closed
        assert list(io.sockets) == [again.id]
        assert reasons == ["forced close"]
        io.emit("now")
        assert events(again)[-1] == ("now", [])


async def test_what_was_sent_just_before_the_cut_and_never_arrived_is_sent_again() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("seen")
        client.connection.pause()
        io.emit("lost on the way")
        client.connection.cut()
        again = await server.connect(recovering=client)
        assert events(again) == [("lost on the way", [])]


async def test_a_session_is_restored_once() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        first, second = await asyncio.gather(
            server.connect(recovering=client), server.connect(recovering=client)
        )
        # The later one takes over: it knows the secret, and one of the two must be dead.
        assert len(io.sockets) == 1
        assert second.connected != first.connected


async def test_a_client_may_recover_again_and_again() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        got: list[int] = []
        for number in range(20):
            client.connection.cut()
            io.emit("x", number)
            again = await server.connect(recovering=client)
            got += [args[0] for _, args in again.received]
            assert again.id == client.id
            client = again
        assert got == list(range(20))


async def test_a_client_that_never_got_its_answer_may_come_once_more() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        io.emit("missed")
        lost = await server.connect(recovering=client)
        lost.connection.cut()
        io.emit("missed, too")
        again = await server.connect(recovering=client)  # as if it had never heard of `lost`
        assert again.id == client.id
        assert events(again) == [("missed", []), ("missed, too", [])]


async def test_a_client_cut_off_while_middlewares_run_may_come_once_more() -> None:
    io = make(skip_middlewares=False)
    gate = asyncio.Event()
    gate.set()

    @io.use
    async def slow(socket: Socket) -> None:
        await gate.wait()

    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        gate.clear()
        connection = server.open_connection()
        attempt = asyncio.ensure_future(server.connect(recovering=client, on_connection=connection))
        await settle()
        connection.cut()
        gate.set()
        await asyncio.gather(attempt, return_exceptions=True)
        await settle()
        assert (await server.connect(recovering=client)).id == client.id


async def test_volatile_events_do_not_spoil_the_offset() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        io.emit("one")
        socket.volatile.emit("volatile", "a string at the end")
        io.volatile.emit("volatile", "another")
        client.connection.cut()
        io.volatile.emit("volatile and missed", "gone")
        io.emit("two")
        again = await server.connect(recovering=client)
        assert again.id == client.id
        assert events(again) == [("two", [])]


async def test_events_with_acks_do_not_spoil_the_offset_and_are_not_repeated() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        socket = io.sockets[client.id]
        io.emit("one")
        socket.emit("asks", "a string at the end", ack=print)
        client.connection.cut()
        io.emit("two")
        again = await server.connect(recovering=client)
        assert events(again) == [("two", [])]


async def test_acks_that_were_waited_for_fail_at_the_cut() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        asking = asyncio.ensure_future(io.sockets[client.id].emit_with_ack("x"))
        await settle()
        client.connection.cut()
        assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], Exception)


async def test_rooms_and_exceptions_decide_what_was_missed() -> None:
    io = make()
    async with TestServer(io) as server:
        client, other = await server.connect(), await server.connect()
        await io.sockets[client.id].join(["a", "b"])
        client.connection.cut()
        io.to("a").emit("a")
        io.to(["b", "c"]).emit("b or c")
        io.to("c").emit("c")
        io.except_("a").emit("all but a")
        io.to("a").except_("b").emit("a but not b")
        io.except_("c").emit("all but c")
        io.sockets[other.id].broadcast.emit("from other")
        io.to("a").to("b").emit("once")
        again = await server.connect(recovering=client)
        names = [name for name, _ in again.received]
        assert names == ["a", "b or c", "all but c", "from other", "once"]


async def test_attachments_are_replayed_with_their_events() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        io.emit("file", {"data": b"\x01"}, b"\x02")
        again = await server.connect(recovering=client)
        assert events(again) == [("file", [{"data": b"\x01"}, b"\x02"])]


async def test_what_is_replayed_is_what_was_sent_even_if_it_was_changed_since() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        value = {"state": "then"}
        io.emit("x", value)
        value["state"] = "now"
        again = await server.connect(recovering=client)
        assert events(again) == [("x", [{"state": "then"}])]


async def test_replayed_events_carry_their_own_offsets() -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        io.emit("one")
        io.emit("two")
        again = await server.connect(recovering=client)
        again.last_offset = again.received[0][1][-1]  # it got no further than the first
        again.connection.cut()
        third = await server.connect(recovering=again)
        assert events(third) == [("two", [])]


@pytest.mark.parametrize("how", ["client", "server", "parse error"])
async def test_who_left_on_purpose_does_not_come_back(how: str) -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        if how == "client":
            client.disconnect()
        elif how == "server":
            io.sockets[client.id].disconnect()
        else:
            from engineio_core.errors import CloseReason

            client.connection.session._transport_closed(CloseReason.PARSE_ERROR, "test")
        assert (await server.connect(recovering=client)).id != client.id


@pytest.mark.parametrize("how", ["cut", "broken packet", "violation", "ping timeout", "closed"])
async def test_who_left_against_its_will_comes_back(how: str) -> None:
    io = make()
    async with TestServer(io) as server:
        client = await server.connect()
        connection = client.connection
        if how == "cut":
            connection.cut()
        elif how == "broken packet":
            connection.send_text("2{}")
        elif how == "violation":
            connection.send_text("0")
        elif how == "ping timeout":
            connection.answers_pings = False
            await server.advance(60)
        else:
            io.sockets[client.id].session.close()
        assert not io.sockets
        assert (await server.connect(recovering=client)).id == client.id


async def test_a_session_that_is_not_valid_any_more_is_not_restored() -> None:
    revoked: set[str] = set()
    io = make(still_valid=lambda data: data["user"] not in revoked)
    io.use(lambda socket: socket.data.update(user=socket.handshake.auth["user"]))
    async with TestServer(io) as server:
        client = await server.connect(auth={"user": "alice"})
        client.connection.cut()
        revoked.add("alice")
        again = await server.connect(recovering=client, auth={"user": "alice"})
        assert again.id != client.id


async def test_a_validity_that_can_not_be_told_restores_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = make(still_valid=lambda data: bool(1 / 0))
    async with TestServer(io) as server:
        client = await server.connect()
        client.connection.cut()
        assert (await server.connect(recovering=client)).id != client.id
    assert "still_valid failed" in caplog.text


@pytest.mark.parametrize("rules", [{"max_packets": 3}, {"max_bytes": 60}])
async def test_a_client_that_missed_more_than_is_kept_starts_anew(rules: dict[str, int]) -> None:
    io = make(**rules)
    async with TestServer(io) as server:
        client, lucky = await server.connect(), await server.connect()
        io.emit("seen")
        client.connection.cut()
        for number in range(10):
            io.emit("x", number)
        lucky.connection.cut()
        assert (await server.connect(recovering=client)).id != client.id
        assert (await server.connect(recovering=lucky)).id == lucky.id


async def test_the_number_of_kept_sessions_is_bounded() -> None:
    io = make(max_sessions=2)
    async with TestServer(io) as server:
        clients = [await server.connect() for _ in range(3)]
        for client in clients:
            client.connection.cut()
        again = [await server.connect(recovering=client) for client in clients]
        assert [a.id == b.id for a, b in zip(again, clients, strict=True)] == [False, True, True]


async def test_nothing_is_kept_where_nobody_can_come_back_for_it() -> None:
    io = make()
    async with TestServer(io) as server:
        io.emit("to nobody")
        client = await server.connect()
        io.to("empty").emit("x")
        io.emit("first")
        assert str(client.last_offset).endswith("-1")


async def test_each_namespace_recovers_by_itself() -> None:
    io = make()
    io.of("/a")
    async with TestServer(io) as server:
        root = await server.connect()
        a = await server.connect("/a", on_connection=root.connection)
        root.connection.cut()
        io.emit("root")
        io.of("/a").emit("a")
        again = await server.connect(recovering=root)
        a_again = await server.connect(recovering=a, on_connection=again.connection)
        assert (again.id, a_again.id) == (root.id, a.id)
        assert (events(again), events(a_again)) == ([("root", [])], [("a", [])])


async def test_listeners_of_outgoing_events_see_no_offsets() -> None:
    io = make()
    seen: list[Any] = []

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.on_any_outgoing(lambda *args: seen.append(args))

    async with TestServer(io) as server:
        client = await server.connect()
        io.emit("x", 1)
        io.sockets[client.id].emit("y", 2)
    assert seen == [("x", 1), ("y", 2)]


@pytest.mark.parametrize(
    "rules",
    [{"max_disconnection_duration": 0}, {"max_sessions": 0}, {"max_packets": 0}, {"max_bytes": 0}],
)
def test_limits_that_make_no_sense_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Recovery(**rules)


async def test_whoever_has_missed_more_than_may_wait_leaves_nothing_behind() -> None:
    io = SocketServer(recovery=Recovery(), max_outbox_size=1000)
    journal = Journal(io)
    tcp = TcpServer(io)
    client = tcp.open("polling")
    pid = join(client)["pid"]
    tcp.session.close(discard=True)
    for _ in range(10):
        io.emit("x", "y" * 300)
    again = tcp.open("polling")
    again.send(f'0{{"pid":"{pid}"}}')
    assert again.is_over
    assert (io.sockets, io.main.rooms, io.main._by_pid, io.main._attempts) == ({}, {}, {}, 0)
    assert journal.reasons == ["forced close"]  # of the first connection
