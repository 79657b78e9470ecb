"""A FastAPI application that contains a Socket.IO server, under uvicorn, hypercorn or granian.

    pip install fastapi uvicorn
    uvicorn --app-dir examples fastapi_mounted:app --port 3000

Clients connect to the path /live/socket.io, for example
`io("http://127.0.0.1:3000", { path: "/live/socket.io" })`. Use one worker of the host, or an
adapter and sticky sessions: the host does not share sessions between its workers.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from socketio_core import Socket, SocketServer

io = SocketServer()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Disconnect the clients at the end: FastAPI does not inform mounted applications."""
    yield
    await io.shutdown()


app = FastAPI(lifespan=lifespan)
app.mount("/live", io.asgi_app())


@app.post("/announcements/{text}")
async def announce(text: str) -> dict[str, int]:
    io.emit("announcement", text)
    return {"receivers": len(io.sockets)}


@io.on("echo")
def echo(socket: Socket, *values: object) -> list[object]:
    return list(values)
