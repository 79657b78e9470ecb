"""The floor: a minimal uvloop server that sends precomputed replies.

    python -m benchmarks.servers.bare --port P [--ping-interval S]

The program looks up the reply to each chunk of bytes. It implements only the requests that the load
generator sends: the WebSocket handshake, `echo` and `bcast`; and it sends pings. Its cost is that
of the kernel and uvloop, so a server on uvloop cannot reach a goal below it on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any, cast

import uvloop

from benchmarks import wire
from engineio_core.codec.websocket_frame import TEXT, encode_frame

OPEN = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
) + encode_frame(
    TEXT,
    b'0{"sid":"0123456789abcdefghij","upgrades":[],"pingInterval":25000,"pingTimeout":20000,'
    b'"maxPayload":1000000}',
)
REPLIES = {
    wire.websocket_handshake(): OPEN,
    wire.CONNECT: encode_frame(TEXT, b'40{"sid":"0123456789abcdefghij"}'),
    wire.CLOSE_FRAME: b"\x88\x02\x03\xe8",
}
PING = encode_frame(TEXT, b"2")
#: The pings of an interval are sent in so many parts.
PARTS = 100
#: Connections, in the order of their handshakes.
members: dict[FloorConnection, asyncio.Transport] = {}
#: The frame that a chunk broadcasts, by chunk.
broadcasts: dict[bytes, bytes] = {}


class FloorConnection(asyncio.Protocol):
    """Connection that replies to known bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; the handshake makes the connection a member."""
        self.tcp = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the members."""
        members.pop(self, None)

    def data_received(self, data: bytes) -> None:
        """Write the reply to the bytes; compute the reply if the bytes are new."""
        reply = REPLIES.get(data)
        if reply is None:
            reply = REPLIES[data] = compute_reply(data)
        if reply is OPEN:
            members[self] = self.tcp
        update = broadcasts.get(data)
        if update is not None:
            for tcp in members.values():
                tcp.write(update)
        if reply:
            self.tcp.write(reply)
        if data.endswith(wire.CLOSE_FRAME):
            self.tcp.close()


def compute_reply(data: bytes) -> bytes:
    """Return the acks of the events in `data`, whose frames are shorter than 64 KiB."""
    acks = []
    position = 0
    while position < len(data):
        length = data[position + 1] & 0x7F
        start = position + 6
        if length == 126:
            start += 2
            length = int.from_bytes(data[position + 2 : position + 4], "big")
        known = REPLIES.get(data[position : start + length])
        if known is not None:  # next to other frames, such as a pong
            acks.append(known)
            position = start + length
            continue
        ack_id, is_event, event = data[start + 2 : start + length].partition(b"[")
        position = start + length
        if not is_event:
            continue  # a pong
        name, payload = json.loads(b"[" + event)
        text = json.dumps(payload, separators=(",", ":")).encode()
        if name == "bcast":
            broadcasts[data] = encode_frame(TEXT, b'42["update",%b]' % text)
            text = b"1"
        if ack_id:
            acks.append(encode_frame(TEXT, b"43%b[%b]" % (ack_id, text)))
    return b"".join(acks)


def send_pings(interval: float, part: int = 0) -> None:
    """Send pings to the next part of the members, and start the timer of the following part."""
    for tcp in tuple(members.values())[part::PARTS]:
        tcp.write(PING)
    asyncio.get_running_loop().call_later(
        interval / PARTS, send_pings, interval, (part + 1) % PARTS
    )


async def serve(port: int, ping_interval: float) -> None:
    """Serve until the process is terminated."""
    loop: Any = asyncio.get_running_loop()
    server = await loop.create_server(FloorConnection, "127.0.0.1", port, backlog=4096)
    loop.call_later(ping_interval, send_pings, ping_interval)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ping-interval", type=float, default=25.0, help="seconds")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.ping_interval))
