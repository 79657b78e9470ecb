"""Every sample export gives the expected findings, compared in all values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.imports.formats.inspection import inspect_file

FOLDER = Path(__file__).parent / "samples"
EXPECTATIONS = sorted(FOLDER.glob("*.expected.json"))
VALUES = (
    "ip_address", "severity", "cvss_score", "vpr_score", "plugin_id", "plugin_name", "vendor",
    "first_seen", "last_seen", "vulnerability_date", "state", "lifecycle_state",
    "operating_system",
)  # fmt: skip
# Values that findings do not store.
NOT_STORED = {"tool_risk", "public_ip", "ipv6"}


def read_expectation(path: Path) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return expected


def by_identity(findings: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (each["host_key"], each["cve"] or each["plugin_id"] or each["plugin_name"]): each
        for each in findings
    }


def sample_name(path: Path) -> str:
    return path.name.removesuffix(".expected.json")


@pytest.fixture(params=EXPECTATIONS, ids=sample_name)
def pair(request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    expected = read_expectation(request.param)
    inspection = inspect_file(FOLDER / expected["file"], scan_date=expected["scan_date"])
    return inspection.as_json(), expected


def test_samples_are_complete() -> None:
    exports = {path.name for path in FOLDER.iterdir() if path.suffix != ".json"}
    assert exports == {read_expectation(path)["file"] for path in EXPECTATIONS}


def test_profile_and_row_counts_are_as_expected(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    found, expected = pair
    if expected["profile"] == "kev_csv":
        assert "kev-sync" in found["refused"]
        return
    names = ("profile", "rows", "rows_skipped", "rows_rejected")
    assert {name: found[name] for name in names} == {name: expected[name] for name in names}


def test_missing_findings_are_resolved_only_if_the_format_allows_it(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    found, expected = pair
    severities = {each["severity"] for each in found["findings"]}
    # A scan of these tools has Info findings: without any, a filter was applied.
    is_filtered = found["profile"] == "greenbone_xml" and "Info" not in severities
    allowed = expected["may_resolve_absent"] == "hosts+source" and not is_filtered
    assert found["may_resolve_absent"] == ("hosts" if allowed else "none")


def test_findings_are_as_expected(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    found, expected = pair
    findings, wanted = by_identity(found["findings"]), by_identity(expected["findings"])
    assert findings.keys() == wanted.keys()
    for key, values in wanted.items():
        assert {name: findings[key][name] for name in VALUES} == {
            name: values[name] for name in VALUES
        }, key


def test_additional_values_are_as_expected(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    found, expected = pair
    findings = by_identity(found["findings"])
    for key, values in by_identity(expected["findings"]).items():
        extra = findings[key]["extra"]
        wanted = {
            name: value
            for name, value in values["extra"].items()
            if name not in NOT_STORED and value is not None
        }
        assert {name: extra.get(name) for name in wanted} == wanted, key
