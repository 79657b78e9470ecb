"""One link between a gateway and the origin: the connection, the proof of the secret, liveness.

`origin` and `gateway` give the frames their meaning.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from array import array
from collections.abc import Callable
from typing import Final, Protocol, cast, final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.read_turn import TURN_BYTES, ReadTurn
from engineio_core.relay.frames import (
    GROUP,
    IS_BINARY,
    IS_UNCOMPRESSED,
    VERSION,
    FrameSplitter,
    Hello,
    Kind,
    LinkError,
    decode,
    encode,
    encode_frame,
)

logger = logging.getLogger("engineio_core")

#: Seconds between two ALIVE frames, and seconds without any frame after which a link is lost.
ALIVE_INTERVAL: Final = 2.0
SILENCE_LIMIT: Final = 15.0
#: Seconds for the exchange of HELLO frames.
HELLO_LIMIT: Final = 5.0
_ORIGIN, _GATEWAY = b"origin", b"gateway"


class LinkUser(Protocol):
    """The receiver of a link's frames and events."""

    def link_opened(self, link: Link) -> None:
        """Use the link from now on: the peer has proven the secret."""

    def link_frame(self, link: Link, kind: int, body: bytes) -> None:
        """Receive one frame. Raises LinkError for an invalid one, which ends the link."""

    def link_paused(self, link: Link, is_paused: bool) -> None:
        """Send less while the peer reads slowly."""

    def link_lost(self, link: Link, reason: str) -> None:
        """Forget the link; called once, and only after `link_opened`."""


@final
class Link(asyncio.Protocol):
    """The protocol of one connection between two processes that share a secret."""

    def __init__(self, user: LinkUser, secret: bytes, *, is_origin: bool) -> None:
        self._user = user
        self._secret = secret
        self._is_origin = is_origin
        self._splitter = FrameSplitter(self._receive_hello)
        # The frames of a gateway are the work of the origin: one gateway must not delay others.
        self._turn = ReadTurn(asyncio.get_running_loop(), self._proceed) if is_origin else None
        self._nonce = secrets.token_bytes(32)
        self._is_open = False
        self._is_finished = False
        self._reason = "the connection closed"
        self._tcp: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._queue: list[bytes] = []
        self.flushes = 0  # iterations of the event loop at whose end frames were written
        # The packet of the last SEND frame and its receivers, which other receivers may join.
        self._packet: EncodedPacket | None = None
        self._receivers = array("I")
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    # -- sending

    def send(self, kind: Kind, *parts: bytes) -> None:
        """Send one frame at the end of this iteration of the event loop."""
        if self._packet is not None:
            self._end_group()
        self._append(encode_frame(kind, *parts))

    def send_packet(self, packet: EncodedPacket, session: int) -> None:
        """Send a packet to one session; consecutive receivers of a packet share one frame."""
        # hot path
        if packet is not self._packet:
            if self._packet is not None:
                self._end_group()
            elif not self._queue:
                asyncio.get_running_loop().call_soon(self._flush)
            self._packet = packet
        self._receivers.append(session)

    def _end_group(self) -> None:
        packet, receivers = self._packet, self._receivers
        assert packet is not None
        self._packet, self._receivers = None, array("I")
        flags = IS_BINARY * packet.is_binary | IS_UNCOMPRESSED * (not packet.compress)
        count = len(receivers)
        receivers.byteswap()
        self._queue.append(
            encode_frame(Kind.SEND, GROUP.pack(flags, count), receivers.tobytes(), packet.payload)
        )

    def _append(self, frame: bytes) -> None:
        if not self._queue:
            asyncio.get_running_loop().call_soon(self._flush)
        self._queue.append(frame)

    def _flush(self) -> None:
        if self._packet is not None:
            self._end_group()
        self.flushes += 1
        queue, self._queue = self._queue, []
        if queue and self._tcp is not None and not self._is_finished:
            self._tcp.write(b"".join(queue))

    def close(self, reason: str) -> None:
        """Close the link after the queued frames."""
        if self._tcp is not None and not self._tcp.is_closing():
            self._reason = reason
            self._flush()
            self._tcp.close()

    def finish(self, reason: str) -> None:
        """Send the queued frames and no others, and let the peer close the link.

        After a close of both directions, a write of the peer would fail, and the peer would lose
        the frames that it has not read yet.
        """
        if self._tcp is not None and not self._tcp.is_closing() and not self._is_finished:
            self._reason = reason
            self._flush()
            self._is_finished = True
            self._tcp.write_eof()

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the own HELLO."""
        self._tcp = cast("asyncio.Transport", transport)  # uvloop's transports have another base
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        self._timer = loop.call_later(HELLO_LIMIT, self._fail, "the peer sent no HELLO in time")
        self._append(encode_frame(Kind.HELLO, encode(Hello(VERSION, self._nonce, b""))))

    def data_received(self, data: bytes) -> None:
        """Receive frames; end the link at the first invalid one."""
        self._heard_at = asyncio.get_running_loop().time()
        if not self._is_finished:
            self._read(data)

    def _read(self, data: bytes) -> None:
        turn = self._turn
        if turn is not None and (len(data) > TURN_BYTES or turn.is_interrupted):
            self._splitter.is_turn_over = self._is_turn_over
        try:
            self._splitter.feed(data)
        except LinkError as error:
            self._fail(str(error))
        except Exception:
            logger.exception("a frame of a link could not be processed")
            self._fail("internal error")
        if turn is not None and not turn.is_interrupted:
            self._splitter.is_turn_over = None

    def _is_turn_over(self) -> bool:
        assert self._turn is not None
        if not self._turn.is_over():
            return False
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.pause_reading()
        return True

    def _proceed(self) -> None:
        """Continue with the frames that waited for this turn."""
        if self._tcp is None:
            return
        self._heard_at = asyncio.get_running_loop().time()
        if not self._is_finished:
            self._splitter.is_turn_over = self._is_turn_over
            self._read(b"")
        assert self._turn is not None
        if not self._turn.is_interrupted and not self._tcp.is_closing():
            self._tcp.resume_reading()

    def pause_writing(self) -> None:
        """Inform the user that the peer reads slowly."""
        if self._is_open:
            self._user.link_paused(self, True)

    def resume_writing(self) -> None:
        """Inform the user that the peer reads again."""
        if self._is_open:
            self._user.link_paused(self, False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Receive the frames that wait for their turn, and report the end of the link."""
        self._tcp = None
        if self._turn is not None and self._turn.is_interrupted and not self._is_finished:
            self._turn = self._splitter.is_turn_over = None
            self._read(b"")
        self._queue.clear()
        self._packet = None
        if self._timer is not None:
            self._timer.cancel()
        if self._is_open:
            self._is_open = False
            self._user.link_lost(self, self._reason)
        if not self.closed.done():
            self.closed.set_result(self._reason)

    def _fail(self, reason: str) -> None:
        self._reason = reason
        if self._tcp is not None:
            logger.warning("a link between gateway and origin ended: %s", reason)
            self._tcp.abort()

    # -- the proof of the secret: each side sends a nonce, then a keyed hash of the peer's nonce

    def _receive_hello(self, kind: int, body: bytes) -> None:
        if self._is_open:
            if kind != Kind.ALIVE:
                self._user.link_frame(self, kind, body)
            return
        if kind != Kind.HELLO:
            raise LinkError("the first frame must be HELLO: is the peer a gateway or an origin?")
        hello: Hello = decode(Hello, body)
        if hello.version != VERSION:
            raise LinkError(
                f"the peer has version {hello.version} of the link, this process {VERSION}: "
                "run the same version of the server everywhere"
            )
        own, other = (_ORIGIN, _GATEWAY) if self._is_origin else (_GATEWAY, _ORIGIN)
        if not hello.proof:
            proof = self._prove(own, hello.nonce)
            self._append(encode_frame(Kind.HELLO, encode(Hello(VERSION, b"", proof))))
            return
        if not hmac.compare_digest(hello.proof, self._prove(other, self._nonce)):
            raise LinkError("the peer has another secret: use the same secret everywhere")
        self._is_open = True
        if self._timer is not None:
            self._timer.cancel()
        self._watch()
        self._user.link_opened(self)

    def _prove(self, role: bytes, nonce: bytes) -> bytes:
        return hmac.digest(self._secret, role + nonce, "sha256")

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard_at > SILENCE_LIMIT:
            self._fail(f"the peer has sent nothing for {SILENCE_LIMIT:g} seconds")
            return
        self.send(Kind.ALIVE)
        self._timer = loop.call_later(ALIVE_INTERVAL, self._watch)


Connect = Callable[[Callable[[], Link]], object]
