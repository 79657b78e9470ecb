"""The timer of a connection, on event loops whose timer handles have no time."""

from __future__ import annotations

from typing import Any

import pytest

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
