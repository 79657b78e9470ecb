"""Request smuggling through each proxy of docs/deployment.md: the proxy and the server agree."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.hostile import downgrade
from benchmarks.hostile.smuggling import CASES, Backend, find_problems, run_cases
from engineio_core import Tls
from tests.interop.support import serving
from tests.proxies.proxies import CERTIFICATE, KEY, PROXIES, run_proxy

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", PROXIES)
def test_proxy_and_server_split_ambiguous_requests_alike(name: str, tmp_path: Path) -> None:
    backend = Backend()
    with serving(backend.io) as (url, _):
        port = int(url.rpartition(":")[2])
        with run_proxy(name, tmp_path / name, port) as proxy:
            outcomes = asyncio.run(run_cases(proxy.port, backend))
    assert len(outcomes) == len(CASES)
    problems = {each.case: each.problems for each in outcomes if each.problems}
    assert problems == {}


def test_proxy_forwards_no_second_request_of_a_request_by_http_2(tmp_path: Path) -> None:
    backend = Backend()
    with serving(backend.io) as (url, _):
        port = int(url.rpartition(":")[2])
        with run_proxy("caddy", tmp_path / "caddy", port) as proxy:
            usual = downgrade.Case("usual", (), b"a body")
            assert asyncio.run(downgrade.accepts(proxy.port, usual))
            refused, problems = asyncio.run(downgrade.run_cases(proxy.port, backend))
    assert problems == {}
    # The others have a harmless form in HTTP/1.1.
    assert refused >= len(downgrade.CASES) // 2


@pytest.mark.parametrize("name", [each for each in PROXIES if each != "caddy"])
def test_other_proxies_do_not_offer_http_2(name: str, tmp_path: Path) -> None:
    backend = Backend()
    with serving(backend.io) as (url, _):
        port = int(url.rpartition(":")[2])
        with (
            run_proxy(name, tmp_path / name, port) as proxy,
            pytest.raises(OSError),
        ):
            asyncio.run(downgrade.run_cases(proxy.port, backend))


def test_request_that_no_proxy_has_forwarded_is_found() -> None:
    async def run() -> tuple[str, ...]:
        backend = Backend()
        tls = Tls(certificate=CERTIFICATE, key=KEY)
        listener = await backend.io.listen("127.0.0.1", 0, ssl=tls)
        try:
            return await find_problems(listener.port, backend)
        finally:
            await backend.io.shutdown()

    problems = asyncio.run(run())
    assert problems[0] == "the server routed 'follower-0'"
