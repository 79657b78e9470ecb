"""A server to watch with the official admin UI: clients join rooms and send messages.

    python -m socketio_core.admin                    # prints the hash of a password
    python examples/admin_ui.py --mode development --password-hash '$2b$12$...'

Then open https://admin.socket.io, and connect to http://localhost:3000 as the user "admin". The
page may connect from its origin only, and from your own copy at --origin.
"""

import argparse

from socketio_core import BasicAuth, Cors, Socket, SocketServer, instrument


def make_server(
    password_hash: str, mode: str = "production", read_only: bool = False, origin: str | None = None
) -> SocketServer:
    origins = ["https://admin.socket.io", *([origin] if origin else [])]
    io = SocketServer(cors=Cors(origins=origins, credentials=True))
    instrument(
        io,
        auth=BasicAuth("admin", password_hash),
        mode="development" if mode == "development" else "production",
        read_only=read_only,
    )

    @io.on("join")
    async def join(socket: Socket, name: str, room: str) -> list[str]:
        socket.data["name"] = name
        await socket.join(room)
        return sorted(io.sockets[member].data["name"] for member in io.main.rooms[room])

    @io.on("say")
    def say(socket: Socket, room: str, text: str) -> None:
        socket.to(room).emit("said", socket.data.get("name", "a guest"), text)

    return io


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--password-hash", required=True)
    parser.add_argument("--mode", choices=["development", "production"], default="production")
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--origin", help="the origin of your own copy of the page")
    options = parser.parse_args()
    io = make_server(options.password_hash, options.mode, options.read_only, options.origin)
    io.run(options.host, options.port)


if __name__ == "__main__":
    main()
