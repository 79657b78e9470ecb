"""Run the tests of this folder with each runner that this Python supports."""

from __future__ import annotations

import pytest

from socketio_core.handlers import runner

NEEDS_EAGER_START = "eager_start"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    implementations = ["spare", "public"]
    needs_eager_start = metafunc.definition.get_closest_marker(NEEDS_EAGER_START) is not None
    if needs_eager_start and not runner.HAS_EAGER_TASKS:
        implementations.remove("public")
    metafunc.fixturenames.append("_runner")
    metafunc.parametrize("_runner", implementations, indirect=True)


@pytest.fixture(autouse=True)
def _runner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Select the runner of all servers that the test creates."""
    monkeypatch.setenv(runner.RUNNER_VARIABLE, request.param)
