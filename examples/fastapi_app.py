"""A FastAPI application and a Socket.IO server, in one process and on one port.

    pip install fastapi
    python examples/fastapi_app.py --port 3000
    curl -X POST 'http://127.0.0.1:3000/orders/7/ship'

FastAPI serves every path outside /socket.io, with its own WebSockets. Its routes and the event
handlers share one event loop, so that a route can emit events and a handler can await the functions
of a route.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, WebSocket

from socketio_core import AckError, Socket, SocketServer

io = SocketServer()
orders: dict[int, str] = {}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run code before the first and after the last request, for example for a database."""
    orders.update({7: "packed", 8: "packed"})
    yield
    orders.clear()


app = FastAPI(lifespan=lifespan)
io.mount(app)


@app.get("/orders/{number}")
async def get_order(number: int) -> dict[str, str]:
    if number not in orders:
        raise HTTPException(404, "unknown order")
    return {"state": orders[number]}


@app.post("/orders/{number}/ship")
async def ship(number: int) -> dict[str, int]:
    await get_order(number)
    orders[number] = "shipped"
    watchers = await io.to(f"order:{number}").fetch_sockets()
    io.to(f"order:{number}").emit("order:changed", number, "shipped")
    return {"watchers": len(watchers)}


@app.websocket("/orders/{number}/notes")
async def take_notes(websocket: WebSocket, number: int) -> None:
    """Receive notes of a client that has no Socket.IO library, such as a barcode scanner."""
    await get_order(number)
    await websocket.accept()
    async for note in websocket.iter_text():
        io.to(f"order:{number}").emit("order:note", number, note)
        await websocket.send_text(f"noted: {note}")


@io.on("order:watch")
async def watch(socket: Socket, number: int) -> str:
    if number not in orders:
        raise AckError("NOT_FOUND", "unknown order")
    await socket.join(f"order:{number}")
    return orders[number]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    options = parser.parse_args()
    io.run(options.host, options.port)


if __name__ == "__main__":
    main()
