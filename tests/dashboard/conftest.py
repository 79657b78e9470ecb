"""One Chromium for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .support import Browser, running_browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_browser() as started:
        yield started
