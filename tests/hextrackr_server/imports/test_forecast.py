"""The forecast of an import equals its result."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.imports import forecast as module
from hextrackr_server.imports.forecast import Forecast, forecast
from hextrackr_server.imports.reading import ReadRequest, read_export
from hextrackr_server.storage import backends
from tests.hextrackr_server.findings.test_totals import (
    Empty,
    empty,  # noqa: F401 - a fixture
    imports,
    many_examples,
    run,
    steps,
)
from tests.hextrackr_server.support import Workbench, csv_text

NESSUS = ("Plugin ID", "CVE", "Risk", "Host", "Protocol", "Port", "Name")


def nessus_rows(host: str, *plugins: int) -> list[list[str]]:
    rows = [["10", "", "None", host, "tcp", "0", "Scan"]]
    return rows + [[str(each), "", "High", host, "tcp", "443", f"P {each}"] for each in plugins]


def expect(bench: Workbench, content: str, scan_date: str = "2025-09-30") -> Forecast:
    """Return the forecast of a file, which must not change the findings."""
    path = bench.file(content, "forecast.csv")
    stage = path.with_suffix(".staged")
    request = ReadRequest(
        path=str(path), stage=str(stage), scan_date=scan_date, is_dated=True, vendor="",
        mapping="", allow_partial=False, maximum=1 << 26,
    )  # fmt: skip
    outcome = read_export(request, lambda _: None, lambda *_: None)
    before = bench.findings()
    found = forecast(bench.database, stage, outcome)
    stage.unlink()
    assert bench.findings() == before
    return found


@many_examples
@given(steps, imports)
def test_forecast_equals_the_result_of_the_import_in_any_database(
    empty: Empty,  # noqa: F811 - the fixture
    sequence: list[Any],
    last: Any,
) -> None:
    bench = empty()
    for step in sequence:
        run(bench, step)
    (header, rows), scope, day, confirm = last
    found = expect(bench, csv_text(rows, header), day)
    summary = bench.import_rows(
        rows, header, scope=scope, scan_date=day, confirm=confirm, is_dated=True
    )["summary"]
    expected = found.as_json()
    changes, absence = expected["changes"], expected["absence"][scope]
    names = ("inserted", "updated", "reopened")
    assert {name: changes[name] for name in names} == {name: summary[name] for name in names}
    assert absence.pop("withheld") == summary["withheld"]
    required = absence.pop("confirmationRequired")
    assert absence | {"confirmationRequired": required and not confirm} == summary["absence"]
    by_absence = 0 if required and not confirm else absence["missing"]
    assert changes["resolved"] + by_absence == summary["resolved"]


def test_forecast_names_the_numbers_of_every_scope(workbench: Workbench) -> None:
    plugins = range(100, 110)
    everything = [*nessus_rows("192.0.2.1", *plugins), *nessus_rows("192.0.2.2", *plugins)]
    workbench.import_rows(everything, NESSUS)
    rows = [*nessus_rows("192.0.2.1", *plugins[:-1]), *nessus_rows("192.0.2.9", 100, 101)]
    found = expect(workbench, csv_text(rows, NESSUS)).as_json()
    assert found["changes"] == {"inserted": 3, "updated": 10, "reopened": 0, "resolved": 0}
    missing = {kind: each["missing"] for kind, each in found["absence"].items()}
    assert missing == {"auto": 1, "hosts": 1, "vendor": 12, "full": 12, "none": 0}
    required = {kind for kind, each in found["absence"].items() if each["confirmationRequired"]}
    assert required == {"vendor", "full"}
    assert found["absence"]["auto"]["namedHosts"] == 2
    assert found["absence"]["none"]["reason"] == ""


def test_forecast_counts_findings_to_which_a_rejected_row_may_refer(workbench: Workbench) -> None:
    workbench.import_rows(nessus_rows("192.0.2.1", 100, 101, 102), NESSUS)
    rows = [*nessus_rows("192.0.2.1", 100), ["101", "", "High", "", "tcp", "443", "P 101"]]
    found = expect(workbench, csv_text(rows, NESSUS)).as_json()["absence"]["hosts"]
    assert (found["missing"], found["withheld"]) == (1, 1)


def test_forecast_times_out_when_it_takes_too_long(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = nessus_rows("192.0.2.1", *range(1000))
    workbench.import_rows(rows, NESSUS)
    monkeypatch.setattr(backends, "_STEPS_BETWEEN_CHECKS", 1000)
    monkeypatch.setattr(module, "LIMIT_SECONDS", 0.0)
    with pytest.raises(ServiceError) as refusal:
        expect(workbench, csv_text(rows, NESSUS))
    assert refusal.value.code is ErrorCode.TIMEOUT
