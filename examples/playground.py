"""A server to try out in a browser: the playground connects, emits events and shows all packets.

    npm install socket.io-client        # in a clone: the page loads its bundle from this server
    python examples/playground.py --port 3000

Then open http://127.0.0.1:3000/playground.
"""

import argparse
from typing import Any

from socketio_core import ConnectError, Recovery, Socket, SocketServer, playground


def make_server() -> SocketServer:
    io = SocketServer(recovery=Recovery())
    io.mount(playground())
    private = io.of("/private")

    @io.on("echo")
    def echo(socket: Socket, *values: Any) -> list[Any]:
        return list(values)

    @io.on("count")
    async def count(socket: Socket, end: int) -> int:
        for number in range(min(end, 100)):
            socket.emit("number", number)
        return end

    @io.on("question")
    async def question(socket: Socket) -> Any:
        """Request an acknowledgement from the page, and return its first argument."""
        return await socket.timeout(30).emit_with_ack("question", "proceed?")

    @private.use
    def require_token(socket: Socket) -> None:
        if socket.handshake.auth.get("token") != "secret":
            raise ConnectError("the token is 'secret'", data={"code": "UNAUTHORIZED"})

    return io


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    options = parser.parse_args()
    make_server().run(options.host, options.port)


if __name__ == "__main__":
    main()
