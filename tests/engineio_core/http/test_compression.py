"""Compression of polls (HTTP) and of WebSocket messages (permessage-deflate)."""

from __future__ import annotations

import gzip
import zlib
from itertools import count
from random import Random
from typing import Any

import pytest

from engineio_core import EncodedPacket, HttpCompression, PerMessageDeflate, read_turn
from engineio_core.http.compression import MAX_BEGUN, PIECE, CompressionQueue
from tests.helpers.client import Connection, PollingClient, Server, WebSocketClient
from tests.helpers.fake_clock import FakeClock
from tests.helpers.wire import (
    BINARY,
    CONT,
    DELIVERIES,
    TEXT,
    Delivery,
    Response,
    client_frame,
    http_request,
    text_frame,
)

LONG = "x" * 2000
LONGER = "words of a long text " * PIECE


def polled(
    accepted: str | None, message: str = LONG, *, compress: bool = True, **options: Any
) -> Response:
    server = Server(**options)
    client = server.open_polling()
    server.session.send(EncodedPacket(b"4" + message.encode(), compress=compress))
    return client.poll({} if accepted is None else {"Accept-Encoding": accepted}).response()


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate", "gzip"),
        ("deflate, gzip", "deflate"),
        ("deflate", "deflate"),
        ("gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("*", "gzip"),
        ("GZIP", "gzip"),
        ("br", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=nonsense", None),
        ("", None),
        (None, None),
    ],
)
def test_poll_response_uses_an_encoding_that_the_client_accepts(
    accepted: str | None, chosen: str | None
) -> None:
    response = polled(accepted)
    assert response.header("Content-Encoding") == chosen
    assert response.header("Content-Length") == str(len(response.body))
    decode = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(chosen or "", bytes)
    assert decode(response.body) == b"4" + LONG.encode()


def test_response_below_the_threshold_is_not_compressed() -> None:
    assert polled("gzip", "x" * 1022).header("Content-Encoding") is None
    assert polled("gzip", "x" * 1023).header("Content-Encoding") == "gzip"


def test_threshold_is_configurable() -> None:
    options = {"http_compression": HttpCompression(threshold=0)}
    assert polled("gzip", "x", **options).header("Content-Encoding") == "gzip"


def test_poll_response_is_not_compressed_when_compression_is_disabled() -> None:
    assert polled("gzip", http_compression=None).header("Content-Encoding") is None


def test_poll_response_is_not_compressed_when_the_message_disables_compression() -> None:
    assert polled("gzip", compress=False).header("Content-Encoding") is None


def test_payload_is_compressed_when_one_message_allows_it() -> None:
    server = Server()
    client = server.open_polling()
    for compress in (False, True):
        server.session.send(EncodedPacket(b"4" + LONG.encode(), compress=compress))
    response = client.poll({"Accept-Encoding": "gzip"}).response()
    assert response.header("Content-Encoding") == "gzip"


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each check of a turn be late."""
    seconds = count(0.0, 1.0)
    monkeypatch.setattr(read_turn, "perf_counter", lambda: next(seconds))


def poll_compressed(server: Server, text: str) -> tuple[PollingClient, Connection]:
    """Let a client poll for a text; return it and its poll while the server compresses."""
    client, connection = server.open_polling(), server.connect()
    server.session.send_text(text)
    target = server.target(transport="polling", sid=client.sid)
    connection.tcp.feed(http_request("GET", target, {"Accept-Encoding": "gzip"}))
    return client, connection


@pytest.mark.usefixtures("slow_machine")
def test_long_responses_are_compressed_in_turns() -> None:
    server = Server()
    other = server.open_websocket()
    clients = [server.open_polling() for _ in range(3)]
    for session in server.sessions[1:]:
        session.send_text(LONGER)
    polls = [server.connect() for _ in clients]
    for client, poll in zip(clients, polls, strict=True):
        target = server.target(transport="polling", sid=client.sid)
        poll.tcp.feed(http_request("GET", target, {"Accept-Encoding": "gzip"}))
    assert not any(poll.tcp.written for poll in polls)
    other.tcp.feed(text_frame("4other"))
    assert server.received == ["other"]
    for poll in polls:
        response = poll.response()
        assert response.header("Content-Encoding") == "gzip"
        assert gzip.decompress(response.body) == b"4" + LONGER.encode()


@pytest.mark.usefixtures("slow_machine")
def test_session_ends_when_its_client_leaves_while_the_response_is_compressed() -> None:
    server = Server()
    _, connection = poll_compressed(server, LONGER)
    connection.tcp.lose()
    assert server.reasons == ["transport error"]


@pytest.mark.usefixtures("slow_machine")
def test_second_poll_while_the_response_is_compressed_ends_the_session() -> None:
    server = Server()
    client, connection = poll_compressed(server, LONGER)
    server.session.send_text("later")
    assert client.poll().response().status == 400
    assert server.reasons == ["transport error"]
    assert gzip.decompress(connection.response().body) == b"4" + LONGER.encode()


@pytest.mark.usefixtures("slow_machine")
def test_session_close_keeps_the_response_that_is_compressed() -> None:
    server = Server()
    client, connection = poll_compressed(server, LONGER)
    server.session.close()
    assert gzip.decompress(connection.response().body) == b"4" + LONGER.encode()
    assert client.poll().response().text == "6\x1e1"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE])
def test_compression_queue_returns_the_whole_body(encoding: Any, size: int) -> None:
    clock = FakeClock()
    bodies: list[bytes] = []
    CompressionQueue(clock).add(bytes(size), encoding, 6, bodies.append)
    clock.run()
    decode = {"gzip": gzip.decompress, "deflate": zlib.decompress}[encoding]
    assert [decode(body) for body in bodies] == [bytes(size)]


@pytest.mark.parametrize("size", [1, 5 * PIECE])
@pytest.mark.usefixtures("slow_machine")
def test_few_bodies_are_begun_at_a_time(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    clock = FakeClock()
    begun, most = 0, 0
    make = zlib.compressobj

    def begin(level: int, wbits: int) -> Any:
        nonlocal begun, most
        begun += 1
        most = max(most, begun)
        return make(level, wbits=wbits)

    def end(body: bytes) -> None:
        nonlocal begun
        begun -= 1
        assert zlib.decompress(body) == bytes(size)
        ended.append(body)

    monkeypatch.setattr(zlib, "compressobj", begin)
    ended: list[bytes] = []
    queue = CompressionQueue(clock)
    for _ in range(3 * MAX_BEGUN):
        queue.add(bytes(size), "deflate", 6, end)
    clock.run()
    assert len(ended) == 3 * MAX_BEGUN
    assert most <= MAX_BEGUN


def test_body_that_is_added_by_a_response_is_compressed_without_recursion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(read_turn, "perf_counter", lambda: 0.0)
    queue = CompressionQueue(FakeClock())
    sent = 0

    def send(body: bytes) -> None:
        nonlocal sent
        sent += 1
        if sent < 2000:
            queue.add(b"next", "gzip", 6, send)

    queue.add(b"first", "gzip", 6, send)
    assert sent == 2000


# -- permessage-deflate


class DeflateClient:
    """WebSocket client that negotiates permessage-deflate."""

    def __init__(self, server: Server, offer: str = "permessage-deflate") -> None:
        connection = server.upgrade({"Sec-WebSocket-Extensions": offer})
        self.agreed = connection.response().header("Sec-WebSocket-Extensions")
        self.websocket = WebSocketClient(server, connection)
        self._deflate = zlib.compressobj(wbits=-15)
        self._inflate = zlib.decompressobj(wbits=-15)
        self.receive()

    def frame(self, data: bytes, opcode: int = TEXT, **options: Any) -> bytes:
        deflated = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return client_frame(opcode, deflated[:-4], rsv=4, **options)

    def receive(self) -> list[tuple[bool, bytes]]:
        """Return each received message as (was compressed, payload)."""
        return [
            (frame.rsv1, self._inflate.decompress(frame.payload + b"\x00\x00\xff\xff"))
            if frame.rsv1
            else (False, frame.payload)
            for frame in self.websocket.frames()
            if frame.opcode != 8
        ]


def deflating(**options: Any) -> Server:
    return Server(echo=True, per_message_deflate=PerMessageDeflate(), **options)


def test_deflate_is_not_negotiated_when_the_server_disables_it() -> None:
    assert DeflateClient(Server()).agreed is None


def test_deflate_is_not_negotiated_when_the_client_does_not_offer_it() -> None:
    assert deflating().upgrade().response().header("Sec-WebSocket-Extensions") is None


def deflate_finally(data: bytes) -> bytes:
    """Return data that ends with a final block; RFC 7692, section 7.2.3.4, adds a zero byte."""
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush(zlib.Z_FINISH)


def split(payload: bytes, count: int) -> bytes:
    """Return a compressed text in `count` fragments."""
    step = -(-len(payload) // count)
    starts = range(0, len(payload), step)
    return b"".join(
        client_frame(
            TEXT if start == 0 else CONT, payload[start : start + step],
            fin=start + step >= len(payload), rsv=4 if start == 0 else 0,
        )
        for start in starts
    )  # fmt: skip


@pytest.mark.parametrize("offer", ["permessage-deflate",
                                   "permessage-deflate; client_no_context_takeover"])  # fmt: skip
@pytest.mark.parametrize("size", [5, 3000])
@pytest.mark.parametrize(("fragments", "padding"), [(1, 1), (1, 0), (3, 1)])
def test_messages_behind_a_final_block_are_read(
    size: int, fragments: int, padding: int, offer: str
) -> None:
    client = DeflateClient(deflating(), offer)
    texts = [b"4%d" % number + Random(number).randbytes(size).hex().encode() for number in (1, 2)]
    for text in texts:
        client.websocket.tcp.feed(split(deflate_finally(text) + bytes(padding), fragments))
    client.websocket.tcp.feed(client.frame(b"4last"))
    assert [payload for _, payload in client.receive()] == [*texts, b"4last"]


def test_final_block_at_the_end_of_a_fragment_is_followed_by_an_empty_block() -> None:
    client = DeflateClient(deflating())
    final = deflate_finally(b"4a")
    for part, opcode, fin, rsv in ((final, TEXT, False, 4), (b"\0", CONT, True, 0)):
        client.websocket.tcp.feed(client_frame(opcode, part, fin=fin, rsv=rsv))
    client.websocket.tcp.feed(client.frame(b"4b"))
    assert [payload for _, payload in client.receive()] == [b"4a", b"4b"]


@pytest.mark.parametrize(
    "rest", [deflate_finally(b"hidden"), b"\xff\xff", b"\x03\x00" * 2, b"\x00\x01\x00\xfe\xffa"],
    ids=["final block", "invalid block", "empty final blocks", "stored block"],
)  # fmt: skip
def test_data_behind_a_final_block_closes_the_connection(rest: bytes) -> None:
    client = DeflateClient(deflating())
    client.websocket.tcp.feed(client_frame(TEXT, deflate_finally(b"4a") + rest, rsv=4))
    assert client.websocket.tcp.is_over
    assert client.receive() == []


def test_deflated_messages_are_sent_in_both_directions() -> None:
    server = deflating()
    client = DeflateClient(server)
    assert client.agreed == "permessage-deflate"
    for _ in range(2):  # the second message uses the compression context of the first
        client.websocket.feed(client.frame(b"4" + LONG.encode()))
        assert client.receive() == [(True, b"4" + LONG.encode())]
        client.websocket.feed(client.frame(LONG.encode(), BINARY))
        assert client.receive() == [(True, LONG.encode())]


def test_message_is_not_deflated_when_it_is_short_or_disables_compression() -> None:
    server = deflating()
    client = DeflateClient(server)
    server.session.send_text("short")
    server.session.send(EncodedPacket(b"4" + LONG.encode(), compress=False))
    server.session.send_text(LONG)
    kinds = [(is_deflated, len(payload)) for is_deflated, payload in client.receive()]
    assert kinds == [(False, 6), (False, 2001), (True, 2001)]


def test_plain_and_deflated_client_messages_are_received_together() -> None:
    server = deflating()
    client = DeflateClient(server)
    client.websocket.feed(client_frame(TEXT, b"4plain") + client.frame(b"4deflated"))
    assert server.received == ["plain", "deflated"]


@pytest.mark.parametrize("deliver", DELIVERIES)
def test_deflated_messages_are_received_in_any_segmentation(deliver: Delivery) -> None:
    server = deflating()
    client = DeflateClient(server)
    wire = client.frame(b"4" + LONG.encode()) + client_frame(9, b"?") + client.frame(b"4two")
    deliver(client.websocket.feed, wire)
    assert server.received == [LONG, "two"]


def test_fragmented_deflated_message_is_received() -> None:
    server = deflating()
    client = DeflateClient(server)
    deflate = zlib.compressobj(wbits=-15)
    deflated = (deflate.compress(b"4" + LONG.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    client.websocket.feed(client_frame(TEXT, deflated[:5], fin=False, rsv=4))
    client.websocket.feed(client_frame(CONT, deflated[5:]))
    assert server.received == [LONG]


def test_message_that_inflates_above_the_limit_closes_with_1009() -> None:
    server = deflating(max_http_buffer_size=10_000)
    client = DeflateClient(server)
    bomb = client.frame(b"4" + b"\x00" * 50_000_000)
    assert len(bomb) > 10_000  # rejected by its compressed length
    client.websocket.feed(bomb)
    assert client.websocket.close_code == 1009
    other = DeflateClient(server)
    small_bomb = other.frame(b"4" + b"\x00" * 5_000_000)
    assert len(small_bomb) < 10_000  # rejected by its inflated length
    other.websocket.feed(small_bomb)
    assert other.websocket.close_code == 1009
    assert server.received == []
    assert server.reasons == ["transport error"] * 2


def test_fragments_that_together_inflate_above_the_limit_close_with_1009() -> None:
    server = deflating(max_http_buffer_size=10_000)
    client = DeflateClient(server)
    deflate = zlib.compressobj(wbits=-15)
    for number in range(4):
        piece = deflate.compress(b"4" * 4_000) + deflate.flush(zlib.Z_SYNC_FLUSH)
        opcode, rsv = (TEXT, 4) if number == 0 else (CONT, 0)
        client.websocket.frame(opcode, piece, fin=False, rsv=rsv)
    assert client.websocket.close_code == 1009


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x07garbage"])
def test_invalid_deflate_data_closes_the_session(garbage: bytes) -> None:
    server = deflating()
    client = DeflateClient(server)
    client.websocket.frame(TEXT, garbage, rsv=4)
    assert server.reasons == ["transport error"]
    assert client.websocket.close_code in {1002, 1007}


def test_close_between_deflated_messages_ends_the_session_once() -> None:
    server = deflating()
    client = DeflateClient(server)
    server.session.on_text = lambda text: server.session.close()
    client.websocket.feed(client.frame(b"4bye") + client_frame(8, b"\x03\xe8"))
    assert server.reasons == ["forced close"]
    assert client.websocket.tcp.is_over


def test_message_after_the_client_close_frame_is_dropped() -> None:
    server = deflating()
    client = DeflateClient(server)
    client.websocket.feed(client.frame(b"4" + LONG.encode()) + client_frame(8, b"\x03\xe8"))
    assert server.received == [LONG]
    assert server.reasons == ["transport close"]


def test_no_context_takeover_is_negotiated_when_the_server_requires_it() -> None:
    rule = PerMessageDeflate(server_no_context_takeover=True, client_no_context_takeover=True)
    client = DeflateClient(Server(per_message_deflate=rule))
    assert client.agreed is not None
    assert "server_no_context_takeover" in client.agreed
    assert "client_no_context_takeover" in client.agreed


def test_invalid_deflate_offer_is_not_accepted() -> None:
    connection = deflating().upgrade(
        {"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=7"}
    )
    response = connection.response()
    assert response.status == 400 or response.header("Sec-WebSocket-Extensions") is None


def test_upgraded_session_uses_deflate() -> None:
    server = deflating()
    polling = server.open_polling()
    headers = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    connection = server.upgrade(headers, sid=polling.sid)
    assert connection.response().header("Sec-WebSocket-Extensions") == "permessage-deflate"
    websocket = WebSocketClient(server, connection)
    websocket.send_packet("2probe")
    websocket.send_packet("5")
    server.session.send_text(LONG)
    assert [frame.rsv1 for frame in websocket.frames()] == [False, True]


def test_inflated_messages_are_delivered_before_more_are_inflated() -> None:
    server = Server(per_message_deflate=PerMessageDeflate())
    connection = server.upgrade({"Sec-WebSocket-Extensions": "permessage-deflate"})
    assert connection.response().status == 101
    session = server.session
    session.on_text = lambda text: (server.received.append(text), session.pause_reading())
    connection.feed(text_frame("4x") * 1000)
    first = len(server.received)
    assert first < 200
    while len(server.received) < 1000:
        before = len(server.received)
        session.resume_reading()
        assert before < len(server.received) <= before + 200
    assert server.received == ["x"] * 1000
