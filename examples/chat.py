"""A chat with rooms and its page.

    npm install socket.io-client        # once: the page loads its bundle from this server
    python examples/chat.py --port 3000

Then open http://127.0.0.1:3000 in two windows.
"""

import argparse
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from socketio_core import AckError, Socket, SocketServer

PAGE = """<!doctype html>
<meta charset="utf-8"><title>Chat</title>
<style>body { font: 16px sans-serif; max-width: 40em; margin: 2em auto }</style>
<form id="join"><input name="name" placeholder="Your name" required>
<input name="room" value="lobby" required> <button>Join</button></form>
<ul id="log"></ul>
<form id="say" hidden><input name="text" autocomplete="off" autofocus> <button>Say</button></form>
<script src="/socket.io/socket.io.min.js"></script>
<script>
const [join, say, log] = ["join", "say", "log"].map((id) => document.getElementById(id));
const socket = io();
const show = (text) => {
  log.appendChild(document.createElement("li")).textContent = text;
};
join.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await socket.emitWithAck("join", Object.fromEntries(new FormData(join)));
  if (answer.success === false) return show(answer.error);
  join.hidden = true;
  say.hidden = false;
  show(`Members: ${answer.members.join(", ")}`);
});
say.addEventListener("submit", (event) => {
  event.preventDefault();
  socket.emit("say", say.elements.text.value);
  say.reset();
});
socket.on("message", (name, text) => show(`${name}: ${text}`));
socket.on("joined", (name) => show(`${name} joined`));
socket.on("left", (name) => show(`${name} left`));
</script>
"""

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Join(msgspec.Struct):
    name: str
    room: str


def make_server() -> SocketServer:
    io = SocketServer()
    io.mount(serve_page)

    @io.on("join")
    async def join(socket: Socket, request: Join) -> dict[str, list[str]]:
        others = await io.to(f"chat:{request.room}").fetch_sockets()
        names = [other.data["name"] for other in others]
        if "name" in socket.data or request.name in names:
            raise AckError("NAME_TAKEN", f"the name {request.name} is in use")
        socket.data.update(name=request.name, room=f"chat:{request.room}")
        await socket.join(socket.data["room"])
        socket.to(socket.data["room"]).emit("joined", request.name)
        return {"members": [*names, request.name]}

    @io.on("say")
    def say(socket: Socket, text: str) -> None:
        if "room" in socket.data:
            io.to(socket.data["room"]).emit("message", socket.data["name"], text)

    @io.on("disconnect")
    def leave(socket: Socket, reason: str) -> None:
        if "room" in socket.data:
            io.to(socket.data["room"]).emit("left", socket.data["name"])

    return io


async def serve_page(scope: dict[str, Any], receive: Any, send: Send) -> None:
    """Serve the page at "/"; another ASGI application can take its place."""
    if scope["type"] != "http":
        raise NotImplementedError("this application has no startup")
    found = scope["path"] == "/"
    headers = [(b"content-type", b"text/html; charset=utf-8")]
    await send({
        "type": "http.response.start", "status": 200 if found else 404, "headers": headers,
    })  # fmt: skip
    await send({"type": "http.response.body", "body": PAGE.encode() if found else b"not found"})


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
