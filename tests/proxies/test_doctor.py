"""The command `doctor` against real proxies: correct ones, and with one misconfiguration each."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from hextrackr_server.doctor import basics, limits, patience, transports
from hextrackr_server.doctor.examination import Wishes, examine
from hextrackr_server.doctor.finding import Level, Report
from hextrackr_server.doctor.remedies import REMEDIES
from hextrackr_server.doctor.target import Target
from tests.interop import program
from tests.proxies.proxies import CERTIFICATE
from tests.proxies.seeded_proxies import METRICS_TOKEN, SEEDS, SHORT_SECONDS, Seed, run_seed

#: The words of the seeds for the hubs, and the ping intervals of the hubs in seconds.
PING_INTERVALS = {"SERVER": 4, "OTHER": 4, "SLOW": 3 * SHORT_SECONDS}
#: Seconds for a request on a busy machine.
LIMIT = 120.0

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


def be_patient(patch: pytest.MonkeyPatch) -> None:
    """Give the checks the time that they need on a busy machine."""
    patch.setattr(patience, "_MARGIN", LIMIT)
    patch.setattr(basics, "_SKEW_WARNING", LIMIT)
    patch.setattr(basics, "_SKEW_ERROR", LIMIT)
    patch.setattr(transports, "_DELAY_TRIES", 5)
    patch.setattr(limits, "_REFUSAL_SECONDS", 5.0)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Report]]:
    """Return the report about each seed; all seeds run at the same time."""
    folder = tmp_path_factory.mktemp("doctor")
    with ExitStack() as stack, ThreadPoolExecutor(6) as threads:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        be_patient(patch)
        hubs = {}
        for name, ping_interval in PING_INTERVALS.items():
            (folder / name).mkdir()
            server = stack.enter_context(
                program.run_server(
                    folder / name,
                    LOG_LEVEL="error",
                    TRUSTED_PROXIES="127.0.0.1",
                    HEXTRACKR_PING_INTERVAL=str(ping_interval),
                    HEXTRACKR_METRICS_TOKEN=METRICS_TOKEN,
                    HEXTRACKR_CORS_ORIGINS="https://app.example",
                )
            )
            hubs[name] = server.url.removeprefix("http://")
        waiting = {}
        for number, seed in enumerate(SEEDS):
            url = stack.enter_context(run_seed(seed, folder / str(number), hubs))
            examined = Target(url, ca=CERTIFICATE, seconds=LIMIT)
            waiting[seed.name] = threads.submit(examine, examined, Wishes(origin=seed.origin))
        yield {name: each.result() for name, each in waiting.items()}


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_examination_names_the_misconfiguration_of_a_real_proxy(
    seed: Seed, reports: dict[str, Report]
) -> None:
    found = {each.code for each in reports[seed.name].findings if each.remedy is not None}
    assert found - {"public-ingest"} == seed.codes, "\n".join(reports[seed.name].lines())


def test_each_problem_has_the_line_of_the_proxy(reports: dict[str, Report]) -> None:
    for report in reports.values():
        for each in report.findings:
            if each.level in {Level.ERROR, Level.WARNING}:
                assert each.remedy is REMEDIES[each.code]
