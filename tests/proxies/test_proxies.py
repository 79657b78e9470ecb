"""The official client against a hub behind each proxy of docs/deployment.md.

`make proxies` runs these tests. `proxies.js` contains the cases; the clients connect from
127.0.0.2, so that the log of the hub shows whether the proxy forwards their address.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.interop import program
from tests.interop.support import CaseResults, find_node
from tests.proxies.proxies import CERTIFICATE, PROXIES, Proxy, run_proxy

SCRIPT = Path(__file__).with_name("proxies.js")
TRANSPORTS = ("websocket", "polling", "polling,websocket")
#: Seconds for the cases of all proxies; the idle cases take 75 seconds.
LIMIT = 300.0

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


class Results(NamedTuple):
    """The results of the cases of one proxy."""

    cases: CaseResults
    idle: CaseResults


class Run(NamedTuple):
    """The results of each proxy, and the log of the hub."""

    results: dict[str, Results]
    log: str


def run_cases(proxy: Proxy, token: str, part: str) -> CaseResults:
    """Run a part of the cases through a proxy."""
    ended = subprocess.run(
        [find_node(), str(SCRIPT), proxy.url, token, part],
        env=os.environ | {"NODE_EXTRA_CA_CERTS": str(CERTIFICATE)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return CaseResults([json.loads(line) for line in ended.stdout.splitlines()])


def hub_port(server: program.Server) -> int:
    return int(server.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("proxies")
    token = program.token(folder, "7")
    with ExitStack() as stack, ThreadPoolExecutor(2 * len(PROXIES)) as threads:
        server = stack.enter_context(program.run_server(folder, TRUSTED_PROXIES="127.0.0.1"))
        proxies = [
            stack.enter_context(run_proxy(name, folder / name, hub_port(server)))
            for name in PROXIES
        ]
        # The idle cases of all proxies wait at the same time.
        idle = [threads.submit(run_cases, proxy, token, "idle") for proxy in proxies]
        results = {
            proxy.name: (run_cases(proxy, token, "all"), waiting)
            for proxy, waiting in zip(proxies, idle, strict=True)
        }
        done = {name: Results(all_, waiting.result()) for name, (all_, waiting) in results.items()}
        _, log = server.stop()
    return Run(done, log)


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest) -> str:
    """Run the test with each proxy."""
    return str(request.param)


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_client_connects_and_upgrades_through_the_proxy(
    run: Run, proxy: str, transports: str
) -> None:
    run.results[proxy].cases.check(f"connect {transports}")


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_hub_logs_the_address_of_the_client_behind_the_proxy(
    run: Run, proxy: str, transports: str
) -> None:
    # The client claims another address in a Forwarded header.
    sid = run.results[proxy].cases.data(f"connect {transports}")
    (line,) = [line for line in run.log.splitlines() if " connected " in line and sid in line]
    assert re.search(r"\baddress=127\.0\.0\.2\b", line), line


def test_idle_connections_stay_open_through_the_proxy(run: Run, proxy: str) -> None:
    run.results[proxy].idle.check("idle")


def test_large_upload_passes_through_the_proxy(run: Run, proxy: str) -> None:
    run.results[proxy].cases.check("large upload")


def test_internal_paths_are_blocked_by_the_proxy(run: Run, proxy: str) -> None:
    blocked = 403 if proxy == "apache" else 404
    assert run.results[proxy].cases.data("internal paths") == [blocked] * 3


def test_log_warns_of_a_proxy_that_removes_the_upgrade_header(tmp_path: Path) -> None:
    def strip(configuration: str) -> str:
        lines = configuration.splitlines(keepends=True)
        return "".join(line for line in lines if "proxy_set_header Upgrade" not in line)

    token = program.token(tmp_path, "7")
    with (
        program.run_server(tmp_path) as server,
        run_proxy("nginx", tmp_path / "nginx", hub_port(server), strip) as proxy,
    ):
        run_cases(proxy, token, "stripped").check("connect polling,websocket")
        _, log = server.stop()
    (line,) = [line for line in log.splitlines() if "has no Upgrade header" in line]
    assert "WARNING" in line
    assert "configure the reverse proxy" in line
