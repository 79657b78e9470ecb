"""The floor of ASGI applications: an ASGI WebSocket that sends precomputed replies, under uvicorn.

    python -m benchmarks.servers.asgi_floor --port P [--ws websockets-sansio]

The application looks up the reply to each message. Its cost is the cost of the kernel, uvloop and
uvicorn, so an ASGI application under uvicorn cannot reach a goal below it on the same machine.
"""

from __future__ import annotations

from typing import Any

from benchmarks.servers.asgi_host import serve

OPEN = (
    '0{"sid":"0123456789abcdefghij","upgrades":[],"pingInterval":25000,"pingTimeout":20000,'
    '"maxPayload":1000000}'
)
REPLIES = {"40": {"type": "websocket.send", "text": '40{"sid":"0123456789abcdefghij"}'}}


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Send the precomputed reply to each message of a WebSocket, until the client leaves."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": OPEN})
    while (message := await receive())["type"] == "websocket.receive":
        text = message["text"]
        reply = REPLIES.get(text)
        if reply is None:
            reply = REPLIES[text] = compute_reply(text)
        await send(reply)


def compute_reply(text: str) -> dict[str, str]:
    """Return the message with the ack of an `echo`."""
    head, _, arguments = text.partition('["echo",')
    return {"type": "websocket.send", "text": f"43{head[2:]}[{arguments}"}


if __name__ == "__main__":
    serve(lambda: application, "benchmarks.servers.asgi_floor", __doc__)
