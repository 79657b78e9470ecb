"""The timer of a connection, on event loops whose timer handles have no time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

from engineio_core import Engine
from tests.helpers.client import Server
from tests.helpers.fake_clock import FakeClock


class PlainHandleClock(FakeClock):
    """A clock whose handles can be canceled only, like uvloop's for a time within 0.5 ms."""

    def call_at(self, when: float, callback: Any, *args: Any) -> Any:
        timer = super().call_at(when, callback, *args)

        class Handle:
            cancel = staticmethod(timer.cancel)

        return Handle()


def test_request_receives_one_response_when_the_timer_handle_has_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.helpers.client.FakeClock", PlainHandleClock)
    server = Server(keep_alive_timeout=0.05)
    connection = server.connect()
    for _ in range(20):
        server.clock.advance(0.0499)
        connection.request("GET", server.target(transport="polling"))
        assert connection.response().status == 200
    server.clock.advance(0.06)
    assert connection.tcp.is_closed


KEEP_ALIVE = 0.05
REQUEST = b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n"


async def ask_when_keep_alive_expires(port: int, offset: float) -> int:
    """Return the number of requests on one connection that received exactly one response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    received = b""
    for _ in range(10):
        try:
            writer.write(REQUEST)
            head = await asyncio.wait_for(reader.read(65536), 300)
        except ConnectionError:
            break
        if not head:  # closed
            break
        received += head
        answered += 1
        await asyncio.sleep(KEEP_ALIVE + offset)
    writer.close()
    assert received.count(b"HTTP/1.1 ") == received.count(b"HTTP/1.1 404 ") == answered
    return answered


def test_request_receives_at_most_one_response_when_keep_alive_expires_on_uvloop() -> None:
    errors: list[dict[str, Any]] = []

    async def case() -> int:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        engine = Engine(keep_alive_timeout=KEEP_ALIVE)
        listener = await engine.listen("127.0.0.1", 0)
        # Around the deadline, in steps of 0.1 ms
        tries = [ask_when_keep_alive_expires(listener.port, n / 10_000) for n in range(-20, 20)]
        answered = sum(await asyncio.gather(*tries))
        await engine.shutdown()
        return answered

    answered = uvloop.run(case())
    assert errors == []
    assert answered >= 40
