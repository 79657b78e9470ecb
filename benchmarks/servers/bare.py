"""The floor: what the kernel and uvloop take, whoever answers.

    python -m benchmarks.servers.bare --port P

No server at all: it knows by heart what the benchmark's clients send, and looks up what it writes.
It speaks WebSocket, `echo` and `bcast`, as far as the load generator does. No server on uvloop can
cost less; a goal that is below this is out of reach on the machine at hand.
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
ANSWERS = {
    wire.websocket_handshake(): OPEN,
    wire.CONNECT: encode_frame(TEXT, b'40{"sid":"0123456789abcdefghij"}'),
    wire.CLOSE_FRAME: b"\x88\x02\x03\xe8",
}
members: dict[Bare, asyncio.Transport] = {}
broadcasts: dict[bytes, bytes] = {}


class Bare(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        members[self] = self.tcp = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        members.pop(self, None)

    def data_received(self, data: bytes) -> None:
        """Write what belongs to these bytes; find out what that is where they are new."""
        answer = ANSWERS.get(data)
        if answer is None:
            answer = ANSWERS[data] = work_out(data)
        update = broadcasts.get(data)
        if update is not None:
            for tcp in members.values():
                tcp.write(update)
        self.tcp.write(answer)
        if data == wire.CLOSE_FRAME:
            self.tcp.close()


def work_out(data: bytes) -> bytes:
    """Return the acks of the events in some frames, none of which is a large one."""
    acks = []
    position = 0
    while position < len(data):
        length = data[position + 1] & 0x7F
        start = position + 6
        if length == 126:
            start += 2
            length = int.from_bytes(data[position + 2 : position + 4], "big")
        ack_id, _, event = data[start + 2 : start + length].partition(b"[")
        name, payload = json.loads(b"[" + event)
        text = json.dumps(payload, separators=(",", ":")).encode()
        if name == "bcast":
            broadcasts[data] = encode_frame(TEXT, b'42["update",%b]' % text)
            text = b"1"
        if ack_id:
            acks.append(encode_frame(TEXT, b"43%b[%b]" % (ack_id, text)))
        position = start + length
    return b"".join(acks)


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    loop: Any = asyncio.get_running_loop()
    server = await loop.create_server(Bare, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
