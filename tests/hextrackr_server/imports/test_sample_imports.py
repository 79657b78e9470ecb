"""Each sample export, imported: the stored findings are the expected ones, and no others change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.errors import ServiceError
from tests.hextrackr_server.support import Workbench

FOLDER = Path(__file__).parent / "formats" / "samples"
EXPECTATIONS = sorted(FOLDER.glob("*.expected.json"))
VALUES = (
    "ip_address", "severity", "cvss_score", "vpr_score", "plugin_id", "plugin_name", "vendor",
    "first_seen", "last_seen", "vulnerability_date", "state", "lifecycle_state",
    "operating_system",
)  # fmt: skip
REASONS = {"fixed": "reported_fixed", None: None}


def identity(finding: dict[str, Any]) -> tuple[str, str]:
    named = finding["cve"] or finding["plugin_id"] or finding["plugin_name"]
    return finding["host_key"], named


@pytest.mark.parametrize(
    "path", EXPECTATIONS, ids=[each.name.removesuffix(".expected.json") for each in EXPECTATIONS]
)
def test_sample_is_stored_as_expected(workbench: Workbench, path: Path) -> None:
    expected = json.loads(path.read_text("utf-8"))
    sample = FOLDER / expected["file"]
    options = {"scan_date": expected["scan_date"], "is_dated": True}
    if expected["profile"] == "kev_csv":
        with pytest.raises(ServiceError, match="kev-sync"):
            workbench.run_file(sample, **options)
        assert workbench.findings() == []
        return
    stranger = ("hostname", "cve", "severity")
    workbench.import_rows([["elsewhere", "CVE-2030-99999", "Low"]], stranger)
    (untouched,) = workbench.findings()
    for _ in range(2):
        result = workbench.run_file(sample, **options)
    counts = result["summary"]
    assert counts["profile"] == expected["profile"]
    assert (counts["rows"], counts["rowsSkipped"], result["errors"]) == (
        expected["rows"],
        expected["rows_skipped"],
        expected["rows_rejected"],
    )
    assert (counts["inserted"], counts["resolved"]) == (0, 0)
    stored = {identity(each): each for each in workbench.findings()}
    assert stored.pop(("elsewhere", "CVE-2030-99999")) == untouched
    wanted = {identity(each): each for each in expected["findings"]}
    assert stored.keys() == wanted.keys()
    for key, values in wanted.items():
        finding = stored[key]
        assert {name: finding[name] for name in VALUES} == {
            name: values[name] for name in VALUES
        }, key
        closed_as = values["extra"].get("closed_as")
        assert finding["resolution_reason"] == REASONS.get(closed_as, closed_as)
        assert finding["source"] == expected["profile"]
