"""The cost of leaving does not depend on the number of other sockets and rooms.

The cost is the number of executed bytecodes and of called functions of C, which is the same in each
run, unlike a time.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from socketio_core import InProcessCluster, Recovery, SocketServer
from tests.helpers.client import Client
from tests.socketio_core.support import TcpServer, join


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count the executed bytecodes ("opcode") and the calls of functions of C ("c_call")."""
    count: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        count["opcode"] += event == "opcode"
        return trace

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        count["c_call"] += event == "c_call"

    former = sys.gettrace(), sys.getprofile()  # of a measurement of coverage
    gc.disable()  # it runs finalizers of other tests' objects
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        yield count
    finally:
        sys.setprofile(former[1])
        sys.settrace(former[0])
        gc.enable()


def operations(work: Callable[[], object]) -> int:
    """Return the number of bytecodes and calls that a function executes."""
    with counting() as count:
        work()
    return count.total()


async def counted_operations(work: Callable[[], Awaitable[object]]) -> int:
    """Return the number of bytecodes and calls until a coroutine ends, with those of the loop."""
    with counting() as count:
        await work()
    return count.total()


def lose(tcp: TcpServer, client: Client) -> None:
    client.tcp.lose()


def send_disconnect(tcp: TcpServer, client: Client) -> None:
    client.send_packet("41")


def disconnect_by_the_server(tcp: TcpServer, client: Client) -> None:
    list(tcp.io.sockets.values())[-1].disconnect(True)


def leave_a_room(tcp: TcpServer, client: Client) -> None:
    client.send_packet('42["leave","mine"]')


def send_a_close_packet(tcp: TcpServer, client: Client) -> None:
    client.send_packet("1")


def receive_a_broadcast(tcp: TcpServer, client: Client) -> None:
    tcp.io.emit("news")


ENDS = {
    each.__name__: each
    for each in (lose, send_disconnect, disconnect_by_the_server, leave_a_room, send_a_close_packet)
}


def make_server(*, is_clustered: bool, recovers: bool) -> TcpServer:
    io = SocketServer(
        adapter=InProcessCluster().join() if is_clustered else None,
        recovery=Recovery(max_disconnection_duration=60) if recovers else None,
        ping_interval=1000,
    )
    io.on("join", lambda socket, room: socket.join(room))
    io.on("leave", lambda socket, room: socket.leave(room))
    return TcpServer(io)


def cost(end: Callable[[TcpServer, Client], None], others: int, **options: bool) -> int:
    """Return the cost of an end next to that many other sockets, with as many rooms."""
    tcp = make_server(**options)
    for number in range(others):
        other = tcp.open_websocket()
        join(other)
        other.send_packet(f'42["join","room-{number}"]')
        other.send_packet('42["join","everyone"]')
    client = tcp.open_websocket()
    join(client)
    for room in ("mine", "everyone"):
        client.send_packet(f'42["join","{room}"]')
    return operations(lambda: end(tcp, client))


@pytest.mark.parametrize("options", [
    {"is_clustered": False, "recovers": False},
    {"is_clustered": False, "recovers": True},
    {"is_clustered": True, "recovers": False},
], ids=["alone", "recovery", "cluster"])  # fmt: skip
@pytest.mark.parametrize("name", list(ENDS))
def test_cost_of_leaving_does_not_grow_with_sockets_and_rooms(
    name: str, options: dict[str, bool]
) -> None:
    few, many = (cost(ENDS[name], others, **options) for others in (5, 250))
    # Allow for the one amortized step of a timer or of a dictionary.
    assert many <= 1.05 * few, f"{few} operations next to 5 sockets, {many} next to 250"


def test_cost_of_a_broadcast_grows_with_sockets() -> None:
    """The count of operations shows work per socket."""
    few, many = (
        cost(receive_a_broadcast, others, is_clustered=False, recovers=False) for others in (5, 250)
    )
    assert many > 10 * few
