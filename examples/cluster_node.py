"""One server of a cluster: an echo server whose clients drive all operations across servers.

    redis-server &
    python examples/cluster_node.py --port 3000 --redis redis://127.0.0.1:6379 --adapter sharded
    python examples/cluster_node.py --port 3001 --redis redis://127.0.0.1:6379 --adapter sharded

With `--adapter streams --recovery`, a client that loses its connection may return to another node.
With `--adapter postgres --postgres postgresql://user@host/database`, no Redis is needed.

Node servers may join the cluster with the official adapters (tests/cluster/cluster_node.js has the
same events). Namespaces: `/` and `/chat`; each client joins `room1`. Every event is acknowledged.
A target is `{"rooms": [...], "except": [...], "local": false}`; all keys are optional.

    echo(*args)                          the arguments
    whoami()                             {"id", "node", "rooms", "recovered"}
    emit-back(event, *args)              sends an event to the client itself
    drop()                               closes the connection, as a network failure does
    set-data(data)                       changes socket.data
    join(*rooms), leave(*rooms)          the rooms of the client
    emit(target, event, *args)           sends an event
    request(target, event, *args)        {"responses", "missing", "clients", "servers"}
    fetch(target)                        {"sockets": [{"id", "rooms", "data", "auth"}], "servers"}
    request-socket(id, event, *args)     the answer of one client, found by fetch_sockets
    sockets-join(target, *rooms), sockets-leave(target, *rooms)
    disconnect-sockets(target, close)
    server-emit(event, *args)            runs on the other servers
    server-request(event, *args)         {"answers", "servers"}
    server-count()                       the number of servers
    status()                             the connection to the other servers

On each server, `note` is a server-side event that its clients receive as `noted(node, *args)`, and
`sum` answers with `[node, sum]`.
"""

import argparse
import asyncio
import signal
from collections.abc import Callable
from typing import Any

import uvloop

from socketio_core import (
    AckTimeoutError,
    Broadcast,
    Cors,
    Namespace,
    Postgres,
    Recovery,
    RedisClassic,
    RedisSharded,
    RedisStreams,
    RemoteSocket,
    Socket,
    SocketServer,
)

ADAPTERS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "classic": lambda options: RedisClassic(
        options.redis, specific_response_channel=options.specific
    ),
    "sharded": lambda options: RedisSharded(options.redis, subscription_mode=options.mode),
    "streams": lambda options: RedisStreams(options.redis),
    "postgres": lambda options: Postgres(options.postgres),
}
TIMEOUT = 60.0  # seconds to wait for clients and other servers; a target may have another `timeout`


def select(namespace: Namespace, target: dict[str, Any]) -> Broadcast:
    """Return the operator of a target."""
    operator = namespace.except_(target.get("except", []))
    if target.get("rooms"):
        operator = operator.to(target["rooms"])
    return operator.local if target.get("local") else operator


def describe(socket: Socket | RemoteSocket) -> dict[str, Any]:
    return {
        "id": socket.id,
        "rooms": sorted(socket.rooms),
        "data": socket.data,
        "auth": socket.handshake.auth,
    }


def register_for_recovery(namespace: Namespace) -> None:
    """Register the events with which a client tests its recovery."""

    @namespace.on("emit-back")
    def emit_back(socket: Socket, event: str, *args: Any) -> None:
        socket.emit(event, *args)

    @namespace.on("drop")
    def drop(socket: Socket) -> None:
        socket.session.close()


def register(namespace: Namespace, node: str) -> None:
    """Register the events of one namespace."""

    @namespace.on("connection")
    def connection(socket: Socket) -> None:
        socket.join("room1")

    @namespace.on("echo")
    def echo(socket: Socket, *args: Any) -> tuple[Any, ...]:
        return args

    @namespace.on("whoami")
    def whoami(socket: Socket) -> dict[str, Any]:
        rooms = sorted(socket.rooms)
        return {"id": socket.id, "node": node, "rooms": rooms, "recovered": socket.recovered}

    @namespace.on("set-data")
    def set_data(socket: Socket, data: dict[str, Any]) -> None:
        socket.data = data

    @namespace.on("join")
    async def join(socket: Socket, *rooms: str) -> list[str]:
        await socket.join(*rooms)
        return sorted(socket.rooms)

    @namespace.on("leave")
    async def leave(socket: Socket, *rooms: str) -> list[str]:
        await socket.leave(*rooms)
        return sorted(socket.rooms)

    @namespace.on("emit")
    def emit(socket: Socket, target: dict[str, Any], event: str, *args: Any) -> None:
        select(namespace, target).emit(event, *args)

    @namespace.on("request")
    async def request(
        socket: Socket, target: dict[str, Any], event: str, *args: Any
    ) -> dict[str, Any]:
        operator = select(namespace, target).timeout(target.get("timeout", TIMEOUT))
        answers = await operator.emit_with_ack(event, *args)
        clients, servers = answers.missing_remote
        return {
            "responses": answers.responses,
            "missing": answers.missing,
            "clients": clients,
            "servers": servers,
        }

    @namespace.on("fetch")
    async def fetch(socket: Socket, target: dict[str, Any]) -> dict[str, Any]:
        operator = select(namespace, target).timeout(target.get("timeout", TIMEOUT))
        sockets = await operator.fetch_sockets()
        return {
            "sockets": [describe(each) for each in sockets],
            "servers": sockets.missing_servers,
        }

    @namespace.on("request-socket")
    async def request_socket(socket: Socket, socket_id: str, event: str, *args: Any) -> Any:
        for each in await namespace.in_(socket_id).timeout(TIMEOUT).fetch_sockets():
            try:
                return await each.timeout(TIMEOUT).emit_with_ack(event, *args)
            except AckTimeoutError:
                return "timeout"
        return "not found"

    @namespace.on("sockets-join")
    async def sockets_join(socket: Socket, target: dict[str, Any], *rooms: str) -> None:
        await select(namespace, target).sockets_join(*rooms)

    @namespace.on("sockets-leave")
    async def sockets_leave(socket: Socket, target: dict[str, Any], *rooms: str) -> None:
        await select(namespace, target).sockets_leave(*rooms)

    @namespace.on("disconnect-sockets")
    async def disconnect_sockets(socket: Socket, target: dict[str, Any], close: bool) -> None:
        await select(namespace, target).disconnect_sockets(close)

    @namespace.on("server-emit")
    async def server_emit(socket: Socket, event: str, *args: Any) -> None:
        await namespace.server_side_emit(event, *args)

    @namespace.on("server-request")
    async def server_request(socket: Socket, event: str, *args: Any) -> dict[str, Any]:
        operator = namespace.timeout(TIMEOUT)
        answers = await operator.server_side_emit_with_ack(event, *args)
        return {"answers": list(answers), "servers": answers.missing_servers}

    @namespace.on("server-count")
    async def server_count(socket: Socket) -> int:
        return await namespace.server_count()

    @namespace.on_server_event("note")
    def note(*args: Any) -> None:
        namespace.local.emit("noted", node, *args)

    @namespace.on_server_event("sum")
    def add(*args: Any) -> list[Any]:
        return [node, sum(args)]


def make_server(
    adapter: Any, node: str, recovery: Recovery | None = None, allow_eio3: bool = False
) -> SocketServer:
    """Create the server of a node."""
    io = SocketServer(
        cors=Cors(origins="*"), adapter=adapter, recovery=recovery, allow_eio3=allow_eio3
    )
    for name in ("/", "/chat"):
        register(io.of(name), node)
        register_for_recovery(io.of(name))

    @io.on("status")
    def status(socket: Socket) -> dict[str, Any]:
        found = io.adapter_status()
        return found._asdict() if found is not None else {}

    return io


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM; port 0 lets the system choose a port."""
    node = options.name or f"python-{options.port}"
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    recovery = Recovery() if options.recovery else None
    adapter = ADAPTERS[options.adapter](options)
    async with make_server(adapter, node, recovery, options.eio3) as io:
        listener = await io.listen(options.host, options.port)
        print(f"{node} listens on http://{options.host}:{listener.port}", flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--redis", default="redis://127.0.0.1:6379", help="URL")
    parser.add_argument("--postgres", default="postgresql://127.0.0.1/postgres", help="URL")
    parser.add_argument("--adapter", choices=ADAPTERS, default="sharded")
    modes = ("dynamic", "dynamic-private", "static")
    parser.add_argument("--mode", choices=modes, default="dynamic", help="of --adapter sharded")
    parser.add_argument(
        "--specific", action="store_true",
        help="with --adapter classic: answers go only to the server that requested them",
    )  # fmt: skip
    parser.add_argument("--recovery", action="store_true", help="turn on state recovery")
    parser.add_argument("--eio3", action="store_true", help="accept clients of Engine.IO 3")
    parser.add_argument("--name", help="the name of the node; the default contains the port")
    options = parser.parse_args()
    uvloop.run(serve(options))


if __name__ == "__main__":
    main()
