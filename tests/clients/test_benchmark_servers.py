"""The compiled servers of the benchmark behave like the others; the test builds them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from benchmarks.peers import BENCHMARKS, GO, GO_MANY, RUST, RUST_MANY, Peer, Server
from tests.benchmarks.test_servers import test_servers_behave_alike

__all__ = ["test_servers_behave_alike"]

pytestmark = [pytest.mark.clients, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def built() -> None:
    """Build the servers whose toolchains are installed."""
    subprocess.run([BENCHMARKS / "setup-compiled"], check=True)


@pytest.fixture(params=(RUST, RUST_MANY, GO, GO_MANY), ids=lambda peer: peer.name)
def server(request: pytest.FixtureRequest, built: None) -> Iterator[Server]:
    peer: Peer = request.param
    assert peer.is_installed, f"{peer.name} is not installed: {peer.remedy}"
    with Server(peer) as running:
        yield running
