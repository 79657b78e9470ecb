"""Official clients of Socket.IO 1 and 2: in one room with current clients, and over JSONP."""

from __future__ import annotations

import pytest

from socketio_core import JsonParser

from .support import CaseResults, find_cases, run_node, serving
from .test_socket_clients import make_server

pytestmark = pytest.mark.interop

SCRIPT = "mixed_room.js"


@pytest.fixture(scope="module")
def results() -> CaseResults:
    """Return the results of all cases of the script."""
    with serving(make_server(JsonParser())) as (url, _):
        return CaseResults(run_node(SCRIPT, url))


@pytest.mark.parametrize("case", find_cases(SCRIPT))
def test_clients_of_all_versions_share_a_room(results: CaseResults, case: str) -> None:
    results.check(case)
