"""Fixtures that all tests may use."""

from __future__ import annotations

import pytest

from tests.helpers.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["polling", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    """Run the test over both transports."""
    return str(request.param)
