"""Fixtures, markers and Hypothesis profiles for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from engineio_core import read_turn
from engineio_core.codec import frame_reader
from engineio_core.http.asgi_websocket import MountedWebSocket
from engineio_core.http.connection import HttpConnection
from engineio_core.http.exchange import Exchange
from engineio_core.http.states import (
    CONNECTION_TRANSITIONS,
    EXCHANGE_TRANSITIONS,
    MOUNTED_TRANSITIONS,
)
from engineio_core.logs.limiter import LINE_LIMIT
from tests.builds import assert_compiled
from tests.docs.blocks import describe_blocks
from tests.helpers.fake_clock import FakeClock
from tests.helpers.ports import reserve_port
from tests.helpers.state_check import check_states

HERE = Path(__file__).parent

if os.environ.get("TEST_BUILD") == "compiled":
    assert_compiled()

#: Tests that `make binary` runs.
BINARY = ("packaging/test_binary.py", "packaging/test_launcher.py")
#: Tests that `make compiled` runs.
COMPILED = ("builds",)
#: Tests that start Chromium.
BROWSER = ("dashboard",)
#: Tests that start Node: folders, and files outside of them.
NODE = (
    "benchmarks/test_servers.py",
    "clients",
    "cluster",
    "contract/test_front_end_wrapper.py",
    "dashboard",
    "hextrackr_server/http/test_express_shim.py",
    "interop/test_backpressure.py",
    "interop/test_engine_client.py",
    "interop/test_error_switch.py",
    "interop/test_express_application.py",
    "interop/test_import_live.py",
    "interop/test_mounted_websockets.py",
    "interop/test_parser_differences.py",
    "interop/test_recovery.py",
    "interop/test_socket_clients.py",
    "interop/test_workers.py",
    "proxies",
)
#: Tests that start a PostgreSQL server.
POSTGRES = (
    "cluster/test_postgres_cluster.py",
    "hextrackr_server/postgres",
    "socketio_core/postgres",
)
#: Tests that start a Redis server.
REDIS = ("cluster", "socketio_core/redis")
#: Tests that `make quick` leaves to `make test`.
SLOW = (
    "conformance/test_command.py",
    "conformance/test_our_echo_servers.py",
    "contract",
    "docs/test_examples.py",
    "engineio_core/transports/test_websocket_properties.py",
    "fuzz/test_targets.py",
    "growth",
    "hextrackr_server/cli/test_missing_packages.py",
    "hextrackr_server/imports/test_pipeline.py",
    "hextrackr_server/test_application.py",
    "interop/test_client_behavior.py",
    "interop/test_client_cuts.py",
    "interop/test_command_line.py",
    "interop/test_hub_sync_client.py",
    "interop/test_mypyc_handlers.py",
    "interop/test_python_socketio_client.py",
    "packaging/test_installation.py",
    "packaging/test_release.py",
    "socketio_core/test_command.py",
    "typing/test_typing.py",
)
#: Tests that `make proxies` runs.
PROXIES = ("proxies",)
#: Tests that `make clients` runs.
CLIENTS = ("clients",)
MARKED = {
    "binary": BINARY,
    "browser": BROWSER,
    "clients": CLIENTS,
    "compiled": COMPILED,
    "node": NODE,
    "postgres": POSTGRES,
    "proxies": PROXIES,
    "redis": REDIS,
    "slow": SLOW,
}

# The inputs are the same in each run, and no check measures a time, which fails on a busy machine;
# pytest-timeout ends a test that hangs.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# For other inputs: pytest --hypothesis-profile=random
settings.register_profile("random", settings.get_profile("default"), derandomize=False)
settings.register_profile("quick", settings.get_profile("default"), max_examples=20)
settings.load_profile("default")

illegal_transitions: list[str] = []
if os.environ.get("TEST_BUILD") != "compiled":  # compiled classes assign without a descriptor
    check_states(HttpConnection, CONNECTION_TRANSITIONS, illegal_transitions)
    check_states(Exchange, EXCHANGE_TRANSITIONS, illegal_transitions)
check_states(MountedWebSocket, MOUNTED_TRANSITIONS, illegal_transitions)


def pytest_configure() -> None:
    """Fail when a table above names a path that does not exist."""
    missing = [path for paths in MARKED.values() for path in paths if not (HERE / path).exists()]
    if missing:
        raise pytest.UsageError(f"tests/conftest.py marks paths that do not exist: {missing}")
    # pytest-xdist kills a worker that takes longer to end. A busy worker needs more than the
    # default of ten seconds to write its coverage, which would be lost.
    with suppress(ImportError):
        from xdist.workermanage import NodeManager

        NodeManager.EXIT_TIMEOUT = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add the markers of its file to each test."""
    for item in items:
        if HERE in item.path.parents:
            path = item.path.relative_to(HERE).as_posix()
            for marker, paths in MARKED.items():
                if path.startswith(paths):
                    item.add_marker(marker)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the code blocks of the documentation that no test runs, if its tests ran."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    if any(each.nodeid.startswith("tests/docs/test_code_blocks.py") for each in reports):
        for line in describe_blocks():
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def state_transitions_are_legal() -> Iterator[None]:
    """Fail a test that changes a state in a way that the transition tables do not allow."""
    illegal_transitions.clear()
    yield
    assert not illegal_transitions


@pytest.fixture(autouse=True)
def log_lines_are_counted_per_test() -> None:
    """Forget the log lines of earlier tests, which would use up the limit of their kinds."""
    LINE_LIMIT.forget()


@pytest.fixture(autouse=True)
def turns_end_by_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of read turns, so that a busy machine does not divide a chunk."""
    for module in (read_turn, frame_reader):
        monkeypatch.setattr(module, "perf_counter", lambda: 0.0)


@pytest.fixture
def unused_tcp_port() -> int:
    """Return a port that refuses connections until the test listens to the port itself."""
    return reserve_port()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["polling", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    """Run the test over both transports."""
    return str(request.param)
