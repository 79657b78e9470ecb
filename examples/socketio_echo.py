"""A Socket.IO echo server: two namespaces, events, binary, acknowledgements in both directions.

    python examples/socketio_echo.py --port 3000

Clients and conformance suites for Socket.IO servers can be tested against it.
"""

import argparse
from typing import Any

from socketio_core import Cors, JsonParser, MsgpackParser, Namespace, Socket, SocketServer


def echo(namespace: Namespace) -> None:
    @namespace.on("connection")
    def connected(socket: Socket) -> None:
        socket.emit("auth", socket.handshake.auth)

    @namespace.on("message")
    def message(socket: Socket, *args: Any) -> None:
        socket.emit("message-back", *args)

    @namespace.on("message-with-ack")
    def message_with_ack(socket: Socket, *args: Any) -> tuple[Any, ...]:
        return args

    @namespace.on("emit-with-ack")
    def emit_with_ack(socket: Socket, *args: Any) -> None:
        def answered(*answer: Any) -> None:
            socket.emit("emit-with-ack", *answer)

        socket.emit("emit-with-ack", *args, ack=answered)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=float, default=0.3, help="seconds")
    parser.add_argument("--ping-timeout", type=float, default=0.2, help="seconds")
    parser.add_argument("--max-payload", type=int, default=1_000_000, help="bytes")
    parser.add_argument("--eio3", action="store_true", help="accept clients of Engine.IO 3")
    parser.add_argument("--parser", choices=("json", "msgpack"), default="json")
    options = parser.parse_args()
    io = SocketServer(
        cors=Cors(origins="*"),
        connect_timeout=1.0,
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        max_http_buffer_size=options.max_payload,
        allow_eio3=options.eio3,
        parser=MsgpackParser() if options.parser == "msgpack" else JsonParser(),
    )
    echo(io.of("/"))
    echo(io.of("/custom"))
    io.run(options.host, options.port)


if __name__ == "__main__":
    main()
