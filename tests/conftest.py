"""Fixtures that all tests may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engineio_core.http.connection import HttpConnection
from engineio_core.http.exchange import Exchange
from engineio_core.http.states import CONNECTION_TRANSITIONS, EXCHANGE_TRANSITIONS
from tests.helpers.fake_clock import FakeClock
from tests.helpers.state_check import check_states

illegal_transitions: list[str] = []
check_states(HttpConnection, CONNECTION_TRANSITIONS, illegal_transitions)
check_states(Exchange, EXCHANGE_TRANSITIONS, illegal_transitions)


@pytest.fixture(autouse=True)
def state_transitions_are_legal() -> Iterator[None]:
    """Fail a test that changes a state in a way that the transition tables do not allow."""
    illegal_transitions.clear()
    yield
    assert not illegal_transitions


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["polling", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    """Run the test over both transports."""
    return str(request.param)
