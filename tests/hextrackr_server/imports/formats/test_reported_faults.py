"""Small exports of kinds that once failed; every value is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.imports.formats.inspection import Inspection, inspect_file

FOLDER = Path(__file__).parent / "field"


def inspect(name: str, **options: Any) -> Inspection:
    (path,) = FOLDER.glob(f"{name}_*")
    return inspect_file(path, **{"scan_date": "2031-06-01"} | options)


def values(inspection: Inspection, *names: str) -> list[tuple[Any, ...]]:
    assert inspection.refused is None
    return [tuple(getattr(each, name) for name in names) for each in inspection.findings]


def warned(inspection: Inspection) -> list[tuple[str, int, str]]:
    return [(each["column"], each["row"], each["value"]) for each in inspection.warnings]


def test_whole_file_is_read_with_the_scan_date_of_its_name() -> None:
    inspection = inspect("f01a", scan_date=None)
    assert (len(inspection.findings), inspection.scan_date) == (200, "2030-06-01")


def test_file_cut_within_a_quoted_cell_is_refused() -> None:
    inspection = inspect("f01b")
    assert "incomplete" in str(inspection.refused)
    assert inspection.findings == []


def test_partial_import_of_a_cut_file_resolves_nothing() -> None:
    inspection = inspect("f01b", allow_partial=True)
    assert (inspection.refused, len(inspection.findings), inspection.resolve) == (None, 100, "none")


def test_file_cut_within_a_plain_cell_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv"
    path.write_text("hostname,cve,severity\nh1,CVE-2030-1001,High\nh2,CVE-2030-1")
    assert "row (3) has 2 of 3 cells" in str(inspect_file(path).refused)
    inspection = inspect_file(path, allow_partial=True)
    assert (len(inspection.findings), inspection.resolve) == (1, "none")


def test_quote_that_is_never_closed_is_refused_with_its_row() -> None:
    assert "quote that opens in row 2" in str(inspect("f01c").refused)


def test_nessus_risk_name_and_scores_are_read() -> None:
    names = ("severity", "plugin_name", "cvss_score", "vulnerability_date", "ip_address")
    assert values(inspect("f02"), *names) == [
        ("Critical", "Example Server < 1.2 RCE", 9.8, "2030-01-02", "192.0.2.10"),
        ("Info", "Example Service Detection", None, "2020-05-06", "192.0.2.10"),
    ]


def test_tenable_sc_findings_are_identified_by_plugin() -> None:
    names = ("plugin_id", "vendor", "vpr_score", "cvss_score", "first_seen")
    assert values(inspect("f03"), *names) == [
        ("900011", "CISCO", 9.1, 10.0, "2030-02-05"),
        ("900012", "CISCO", 4.4, 6.5, "2030-02-06"),
    ]


def test_tenable_vm_observation_dates_and_system_are_read() -> None:
    names = ("cve", "first_seen", "last_seen", "operating_system")
    assert values(inspect("f04"), *names) == [
        (cve, "2030-01-02", "2030-03-04", "Example OS 9")
        for cve in ("CVE-2030-20001", "CVE-2030-20002")
    ]


@pytest.mark.parametrize(("name", "hosts"), [("f05", 2), ("f22", 10)])
def test_hosts_that_share_a_short_name_are_different_hosts(name: str, hosts: int) -> None:
    assert len({each.host_key for each in inspect(name).findings}) == hosts


def test_numbers_out_of_range_are_left_out_with_a_warning() -> None:
    inspection = inspect("f06")
    assert values(inspection, "hostname", "cvss_score", "vpr_score") == [
        ("h1", 7.5, 6.7), ("h2", None, None), ("h3", None, None), ("h4", 8.1, None),
        ("h5", None, None),
    ]  # fmt: skip
    assert warned(inspection) == [
        ("cvss", 3, "75"), ("vpr", 3, "96"), ("cvss", 4, "-1"), ("vpr", 4, "1e3")
    ]  # fmt: skip


def test_decimal_commas_are_read() -> None:
    assert values(inspect("f07"), "cvss_score", "vpr_score") == [(7.5, 6.7)]


def test_every_date_form_is_read() -> None:
    inspection = inspect("f08")
    days = ["2030-02-05", "2030-05-13", "2030-05-13", "2030-05-13", "2030-01-01", "2030-01-01",
            "2030-05-13", "2030-05-13", "2030-05-13", "2030-05-13"]  # fmt: skip
    assert [each.first_seen for each in inspection.findings] == days
    assert inspection.warnings == []


def test_unknown_severities_are_those_of_the_score_with_a_warning() -> None:
    inspection = inspect("f09")
    assert [each.severity for each in inspection.findings] == [
        "Critical", "Critical", "High", "Critical", "Critical", "Critical", "Critical", "High",
        "Info", "Info",
    ]  # fmt: skip
    assert [row for _, row, _ in warned(inspection)] == [2, 3, 6, 7, 8, 11]


@pytest.mark.parametrize("name", ["f10", "f10b"])
def test_preamble_and_separator_line_are_skipped(name: str) -> None:
    (path,) = (each for each in FOLDER.glob("f10*") if each.name.startswith(f"{name}_"))
    assert values(inspect_file(path), "hostname", "severity") == [("h1", "High")]


def test_invalid_byte_affects_one_cell() -> None:
    inspection = inspect("f11")
    assert [each.description for each in inspection.findings] == [
        "Überlauf \u2013 “x”",
        "ok \ufffd",
    ]
    assert warned(inspection) == [("description", 3, "ok \ufffd")]


def test_repeated_column_gives_the_value_that_is_not_empty() -> None:
    assert values(inspect("f12"), "hostname", "severity") == [("h1", "High"), ("h2", "Low")]


def test_states_close_findings_for_their_reason() -> None:
    assert [each.closed_as for each in inspect("f13").findings] == [
        "fixed", "fixed", None, None, None, None, "fixed", "accepted", "fixed", "false_positive"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "closed_as"),
    [
        ("False-Positive", "false_positive"), ("falsePositive", "false_positive"),
        ("risk-accepted", "accepted"), ("RiskAccepted", "accepted"), ("RE_OPENED", None),
        ("re opened", None),
    ],
)  # fmt: skip
def test_state_is_read_in_every_spelling(tmp_path: Path, word: str, closed_as: str | None) -> None:
    path = tmp_path / "export.csv"
    path.write_text(f"hostname,cve,severity,state\nh,CVE-2030-16010,High,{word}\n")
    inspection = inspect_file(path, scan_date="2030-06-01")
    assert [each.closed_as for each in inspection.findings] == [closed_as]
    assert inspection.warnings == []


def test_hosts_have_whole_names_and_one_spelling_of_addresses() -> None:
    inspection = inspect("f14")
    assert [each.host_key for each in inspection.findings] == [
        "core1.site-a.example.test", "core1.site-b.example.test", "2001:db8::1", "192.0.2.1",
        "fe80::1%eth0",
    ]  # fmt: skip
    assert (inspection.rows_rejected, {row for _, row, _ in warned(inspection)}) == (1, {7, 9})


def test_link_local_address_in_a_repeated_name_column_gives_way_to_another_address(
    tmp_path: Path,
) -> None:
    path = tmp_path / "scan.csv"
    path.write_text(
        "hostname,hostname,cve,severity\n"
        "fe80::1%eth0,192.0.2.7,CVE-2030-90001,High\n"
        "fe80::1%eth0,,CVE-2030-90002,High\n"
        "fe80::1%eth0,web1,CVE-2030-90003,High\n"
    )
    inspection = inspect_file(path)
    assert [(each.host_key, each.hostname) for each in inspection.findings] == [
        ("192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::1%eth0"), ("fe80::1%eth0", "web1")
    ]  # fmt: skip


def test_utf16_without_a_mark_is_read() -> None:
    assert values(inspect("f15"), "description") == [("Überlauf \u2013 “x”",)]


def test_host_with_an_ipv6_address_only_is_one_host() -> None:
    assert values(inspect("f16"), "host_key", "ip_address") == [("2001:db8::5", "2001:db8::5")]


def test_finding_severity_and_version_3_score_win() -> None:
    names = ("severity", "cvss_score", "first_seen", "vpr_score")
    assert values(inspect("f17"), *names) == [("High", 7.5, "2031-01-02", None)]


def test_rows_wrapped_in_quotes_are_read() -> None:
    names = ("severity", "ip_address", "plugin_id")
    assert values(inspect("f18"), *names) == [("Critical", "192.0.2.51", "900051")]


def test_qualys_report_is_read() -> None:
    names = ("severity", "cvss_score", "first_seen", "last_seen")
    assert values(inspect("f19"), *names) == [("Critical", 8.1, "2031-05-13", "2031-05-25")] * 2


def test_greenbone_log_result_is_informational() -> None:
    assert [each.severity for each in inspect("f20").findings] == ["High", "High", "Info"]


def test_rapid7_result_that_is_not_vulnerable_is_skipped() -> None:
    inspection = inspect("f21")
    assert values(inspection, "cve", "state") == [("CVE-2031-6001", "vv")]
    assert inspection.rows_skipped == 1
