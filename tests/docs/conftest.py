"""Fixtures for the tests of the documentation."""

from __future__ import annotations

import pytest

from tests.helpers.ports import reserve_port


@pytest.fixture
def free_port() -> int:
    """Return a port for a server that a test starts."""
    return reserve_port()
