"""Tests of the changes that an import makes to the findings."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from hextrackr_server.errors import ErrorCode, ImportInterruptedError, ServiceError
from hextrackr_server.imports import merge, pipeline, staging
from hextrackr_server.imports.progress_record import ImportStatus, percentage
from hextrackr_server.imports.reading import MAXIMUM_DETAILS
from hextrackr_server.imports.staging import CHUNK_ROWS, Stage
from hextrackr_server.storage.finding_tables import findings
from hextrackr_server.storage.schema import vulnerability_daily_totals
from tests.hextrackr_server.support import HEADER, Workbench, csv_text, finding_row

VENDOR_HEADER = ("hostname", "cve", "vendor", "severity")


def summary_of(result: dict[str, object]) -> dict[str, object]:
    summary = result["summary"]
    assert isinstance(summary, dict)
    return summary


def test_first_import_opens_its_findings(workbench: Workbench) -> None:
    result = workbench.import_rows([finding_row(), finding_row(host="web-2")])
    assert summary_of(result) == {
        "notices": [],
        "profile": "tenable_vm",
        "rows": 2,
        "rowsSkipped": 0,
        "findings": 2,
        "duplicates": 0,
        "inserted": 2,
        "updated": 0,
        "reopened": 0,
        "resolved": 0,
        "withheld": 0,
        "absence": {
            "scope": "none",
            "reason": "an export of this format does not list all findings of a host",
            "missing": 0,
            "openInScope": 0,
            "openOfAll": 0,
            "namedHosts": 0,
            "confirmationRequired": False,
        },
        "adopted": 0,
        "withoutSource": 0,
        "warnings": [],
        "vendors": ["Other"],
        "scanDate": "2025-09-30",
        "scope": "auto",
    }
    assert [each["lifecycle_state"] for each in workbench.findings()] == ["active", "active"]


def test_result_counts_match_the_database(workbench: Workbench) -> None:
    rows = [finding_row(host=f"h-{n}", cve="CVE-2024-1000, CVE-2024-2000") for n in range(700)]
    result = workbench.import_rows(rows + rows[:5])
    assert summary_of(result)["inserted"] == len(workbench.findings()) == 1400
    assert summary_of(result)["duplicates"] == 10
    assert result["totalProcessed"] == 705


def test_repeated_import_changes_nothing_and_counts_updates(workbench: Workbench) -> None:
    rows = [finding_row(), finding_row(host="web-2")]
    workbench.import_rows(rows)
    before = workbench.findings()
    summary = summary_of(workbench.import_rows(rows))
    after = workbench.findings()
    assert (summary["inserted"], summary["updated"], summary["resolved"]) == (0, 2, 0)
    assert [each | {"import_id": 0} for each in before] == [
        each | {"import_id": 0} for each in after
    ]


def test_finding_names_the_import_that_changed_its_state(workbench: Workbench) -> None:
    header = ("hostname", "cve", "state")
    states = ("Active", "Active", "Fixed", "Fixed", "Active", "Active")
    for state, changed_by in zip(states, (1, 1, 3, 3, 5, 5), strict=True):
        workbench.import_rows([["h", "CVE-2024-1111", state]], header)
        with workbench.database.reading() as connection:
            assert connection.scalar(select(findings.c.changed_import_id)) == changed_by


def test_absent_finding_is_resolved(workbench: Workbench) -> None:
    workbench.import_rows([finding_row(cve="CVE-2024-1111"), finding_row(cve="CVE-2024-2222")])
    rows = [finding_row(cve="CVE-2024-1111")]
    result = workbench.import_rows(rows, scan_date="2025-10-07", scope="vendor", confirm=True)
    assert summary_of(result)["resolved"] == 1
    gone = workbench.finding("CVE-2024-2222")
    assert gone["lifecycle_state"] == "resolved"
    assert gone["resolved_date"] == "2025-10-07"
    assert gone["resolution_reason"] == "not_present_in_scan"


def test_finding_that_reappears_is_reopened_without_a_resolved_date(
    workbench: Workbench,
) -> None:
    both = [finding_row(cve="CVE-2024-1111"), finding_row(cve="CVE-2024-2222")]
    workbench.import_rows(both)
    workbench.import_rows(both[:1], scope="vendor", confirm=True)
    result = workbench.import_rows(both)
    assert summary_of(result)["reopened"] == 1
    back = workbench.finding("CVE-2024-2222")
    assert (back["lifecycle_state"], back["resolved_date"]) == ("reopened", None)
    assert back["resolution_reason"] is None
    assert summary_of(workbench.import_rows(both))["reopened"] == 0


def test_import_resolves_findings_of_its_vendors_only(workbench: Workbench) -> None:
    cisco, palo = (
        ["sw-1", "CVE-2024-1111", "CISCO", "High"],
        ["fw-1", "CVE-2024-2222", "Palo Alto", "Low"],
    )
    workbench.import_rows([cisco, palo], VENDOR_HEADER)
    row = ["sw-2", "CVE-2024-3333", "CISCO", "High"]
    result = workbench.import_rows([row], VENDOR_HEADER, scope="vendor", confirm=True)
    assert summary_of(result)["resolved"] == 1
    assert workbench.finding("CVE-2024-1111")["lifecycle_state"] == "resolved"
    assert workbench.finding("CVE-2024-2222")["lifecycle_state"] == "active"


def test_older_scan_does_not_resolve_findings_of_a_later_one(workbench: Workbench) -> None:
    workbench.import_rows([finding_row(cve="CVE-2024-1111")], scan_date="2025-09-30")
    workbench.import_rows(
        [finding_row(cve="CVE-2024-2222")], scan_date="2025-09-01", scope="vendor", confirm=True
    )
    assert workbench.finding("CVE-2024-1111")["lifecycle_state"] == "active"


def test_row_with_a_fixed_state_resolves_its_finding(workbench: Workbench) -> None:
    header = ("hostname", "cve", "state")
    workbench.import_rows([["h", "CVE-2024-1111", "Open"], ["h", "CVE-2024-2222", "Open"]], header)
    rows = [["h", "CVE-2024-1111", "Fixed"], ["h", "CVE-2024-2222", "Open"]]
    assert summary_of(workbench.import_rows(rows, header))["resolved"] == 1
    assert workbench.finding("CVE-2024-1111")["resolution_reason"] == "reported_fixed"
    assert summary_of(workbench.import_rows(rows, header))["resolved"] == 0


def test_finding_that_is_fixed_in_several_scans_keeps_its_resolved_date(
    workbench: Workbench,
) -> None:
    header = ("hostname", "cve", "state")
    for scan_date, state, resolved in (
        ("2025-09-01", "Active", None), ("2025-09-02", "Fixed", "2025-09-02"),
        ("2025-09-03", "Fixed", "2025-09-02"), ("2025-09-04", "Active", None),
        ("2025-09-05", "Fixed", "2025-09-05"),
    ):  # fmt: skip
        workbench.import_rows([["h", "CVE-2024-1111", state]], header, scan_date=scan_date)
        assert workbench.finding("CVE-2024-1111")["resolved_date"] == resolved


def test_more_severe_of_two_equal_findings_is_kept(workbench: Workbench) -> None:
    rows = [finding_row(severity=each) for each in ("Low", "Critical", "Medium")]
    workbench.import_rows(rows)
    assert [each["severity"] for each in workbench.findings()] == ["Critical"]


def test_repeated_finding_keeps_its_first_date_and_its_scores(
    workbench: Workbench,
) -> None:
    header = ("hostname", "cve", "first_seen", "last_seen", "VPR", "cvss_score")
    first = ["h", "CVE-2024-1111", "2025-01-01", "2025-09-01", "7.5", "9.8"]
    workbench.import_rows([first], header)
    workbench.import_rows([["h", "CVE-2024-1111", "2025-02-01", "2025-09-30", "", ""]], header)
    finding = workbench.finding("CVE-2024-1111")
    assert (finding["first_seen"], finding["last_seen"]) == ("2025-01-01", "2025-09-30")
    assert (finding["vpr_score"], finding["cvss_score"]) == (7.5, 9.8)


def test_invalid_row_is_reported_with_its_number_and_others_are_imported(
    workbench: Workbench,
) -> None:
    rows = [finding_row(), ["", "", "1", "CVE-2024-1111", "Low"], finding_row(host="web-2")]
    result = workbench.import_rows(rows)
    assert result["errors"] == 1
    assert result["errorDetails"] == [
        {"row": 3, "column": "asset.name", "message": "the row names no host"}
    ]
    assert len(workbench.findings()) == 2


# Open before the import: two findings on one host, one on another, one of another vendor.
WIDE_HEADER = ("hostname", "ip_address", "cve", "plugin_id", "vendor")
KNOWN = [
    ["web-1", "10.0.0.1", "CVE-2024-1111", "11", "Cisco"],
    ["web-1", "10.0.0.1", "CVE-2024-2222", "12", "Cisco"],
    ["web-2", "10.0.0.2", "CVE-2024-2222", "12", "Cisco"],
    ["fw-1", "10.0.0.3", "CVE-2024-3333", "13", "Palo Alto"],
]
# Reported by the import: a new finding on a known host of a known vendor.
SEEN = [["web-1", "10.0.0.1", "CVE-2024-9999", "19", "Cisco"]]
ALL = {f"{row[0]} {row[2]}" for row in KNOWN}
OF_VENDOR, OF_HOST = ALL - {"fw-1 CVE-2024-3333"}, {each for each in ALL if "web-1" in each}


@pytest.mark.parametrize(
    ("scope", "meant"), [("vendor", OF_VENDOR), ("hosts", OF_HOST), ("full", ALL), ("none", set())]
)
@pytest.mark.parametrize(
    ("rejected", "spared"),
    [
        # The row names its host: it may refer to any finding of that host.
        (["web-1", "", "pending", "", "Cisco"], OF_HOST),
        (["", "10.0.0.2", "", "", ""], {"web-2 CVE-2024-2222"}),
        (["WEB-9.example", "10.0.0.3", "", "", ""], {"fw-1 CVE-2024-3333"}),
        (["web-9", "", "", "", "Cisco"], set()),
        # The row names no host: it may refer to its vulnerability on any host.
        (["", "", "cve-2024-2222", "", ""], {"web-1 CVE-2024-2222", "web-2 CVE-2024-2222"}),
        (["", "", "", "13", "Cisco"], {"fw-1 CVE-2024-3333"}),
        (["", "", "CVE-2024-1111, CVE-2024-3333", "", ""],
         {"web-1 CVE-2024-1111", "fw-1 CVE-2024-3333"}),
        (["", "", "CVE-2024-8888", "18", ""], set()),
        # The row names nothing, or is unreadable: it may refer to any finding.
        (["", "", "", "", "Cisco"], ALL),
        (["web-9", "", "CVE-2024-8888", "18", "Cisco", "surplus"], ALL),
    ],
)  # fmt: skip
def test_rejected_row_keeps_findings_it_may_refer_to_open(
    workbench: Workbench, scope: str, meant: set[str], rejected: list[str], spared: set[str]
) -> None:
    workbench.import_rows(KNOWN, WIDE_HEADER)
    result = workbench.import_rows([*SEEN, rejected], WIDE_HEADER, scope=scope, confirm=True)
    resolved = {
        f"{each['hostname']} {each['cve']}"
        for each in workbench.findings()
        if each["lifecycle_state"] == "resolved"
    }
    assert resolved == meant - spared
    assert result["errors"] == 1
    summary = summary_of(result)
    assert (summary["resolved"], summary["withheld"]) == (len(resolved), len(meant & spared))


def test_rejected_row_keeps_findings_of_its_plugin_name_open(workbench: Workbench) -> None:
    header = ("hostname", "ip_address", "cve", "vendor", "plugin_name")
    rows = [
        [host, address, cve, vendor, f"Check {cve[-4:]}"]
        for host, address, cve, _, vendor in (*KNOWN, *SEEN)
    ]
    workbench.import_rows(rows[:-1], header)
    rejected = ["", "", "", "Cisco", "Check 2222"]
    workbench.import_rows([rows[-1], rejected], header, scope="full", confirm=True)
    still_open = {
        f"{each['hostname']} {each['cve']}"
        for each in workbench.findings()
        if each["lifecycle_state"] != "resolved"
    }
    assert still_open == {"web-1 CVE-2024-2222", "web-2 CVE-2024-2222", "web-1 CVE-2024-9999"}


def test_unreadable_row_keeps_all_findings_open(workbench: Workbench) -> None:
    workbench.import_rows(KNOWN, WIDE_HEADER)
    surplus = ["web-9", "", "CVE-2024-8888", "18", "Cisco", "shifted"]
    result = workbench.import_rows([*SEEN, surplus], WIDE_HEADER, scope="full", confirm=True)
    assert "the row has 6 cells" in result["errorDetails"][0]["message"]
    assert summary_of(result)["withheld"] == len(KNOWN)


def test_withheld_findings_are_resolved_by_the_next_import_without_the_row(
    workbench: Workbench,
) -> None:
    workbench.import_rows(KNOWN, WIDE_HEADER)
    options = {"scope": "vendor", "confirm": True}
    workbench.import_rows([*SEEN, [""] * 4 + ["Cisco"]], WIDE_HEADER, **options)
    result = workbench.import_rows(SEEN, WIDE_HEADER, **options)
    assert summary_of(result)["resolved"] == len(OF_VENDOR)


def test_values_of_rejected_rows_are_staged_in_chunks(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    flush = Stage.flush

    def noting(stage: Stage) -> None:
        sizes.append(len(stage._mentions))
        flush(stage)

    monkeypatch.setattr(Stage, "flush", noting)
    workbench.import_rows([finding_row(host=f"h-{n}") for n in range(3000)])
    bad = [[f"h-{n}", "", "", "", ""] for n in range(2999)]
    rows = [*bad, *bad, finding_row(host="h-3000")]
    result = workbench.import_rows(rows, scope="vendor", confirm=True)
    assert summary_of(result) | {"resolved": 1, "withheld": 2999} == summary_of(result)
    assert max(sizes) == CHUNK_ROWS


def test_all_invalid_rows_are_counted_and_the_first_hundred_kept(workbench: Workbench) -> None:
    bad = [["", "", "", "", "High"] for _ in range(250)]
    result = workbench.import_rows([*bad, finding_row()])
    assert result["errors"] == 250
    assert len(result["errorDetails"]) == MAXIMUM_DETAILS
    assert result["errorDetails"][0]["row"] == 2


def test_ignored_value_is_a_warning_and_keeps_the_row(workbench: Workbench) -> None:
    header = ("hostname", "cve", "VPR")
    result = workbench.import_rows([["h", "CVE-2024-1111", "high"]], header)
    assert result["errors"] == 0
    assert result["warningDetails"][-1] == {
        "column": "VPR",
        "row": 2,
        "value": "high",
        "message": "not a number; the value is left out",
    }


def refused(workbench: Workbench, content: str | bytes) -> ServiceError:
    """Import a file that must fail, check that nothing changed, and return the error."""
    workbench.import_rows([finding_row(cve="CVE-2024-9999")])
    before = workbench.findings()
    with pytest.raises(ServiceError) as refusal:
        workbench.run(content)
    assert workbench.findings() == before
    assert workbench.staged() == 0
    assert refusal.value.code is ErrorCode.VALIDATION_ERROR
    return refusal.value


def test_file_with_a_header_only_changes_nothing(workbench: Workbench) -> None:
    assert "no rows" in refused(workbench, csv_text([])).message


def test_empty_file_changes_nothing(workbench: Workbench) -> None:
    assert "empty" in refused(workbench, "").message


def test_unrelated_file_fails_with_its_missing_columns(workbench: Workbench) -> None:
    refusal = refused(workbench, "Date Submitted,Location,Devices,Status\n1,2,3,4\n")
    assert "'Date Submitted', 'Location'" in refusal.message
    assert "lacks: a column for the host; a column for the vulnerability" in refusal.message
    assert refusal.fields == [
        {"path": "header", "message": "lacks a column for the host"},
        {"path": "header", "message": "lacks a column for the vulnerability"},
    ]


def test_file_without_a_valid_row_changes_nothing(workbench: Workbench) -> None:
    refusal = refused(workbench, csv_text([["", "", "", "CVE-2024-1111", "Low"]] * 3))
    assert "None of the 3 rows is valid" in refusal.message
    assert refusal.fields is not None
    assert refusal.fields[0]["path"] == "row 2, asset.name"


def test_file_changes_nothing_when_its_findings_grow_too_large(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "ALLOWED_GROWTH_BYTES", 100_000)
    many = " ".join(f"CVE-2024-{number}" for number in range(10_000, 10_500))
    header = ("hostname", "cve", "definition.description")
    with pytest.raises(ServiceError, match="row 2 exceeds") as refused:
        workbench.import_rows([["sw-1", many, "text " * 1000]], header)
    assert refused.value.code is ErrorCode.VALIDATION_ERROR
    assert (workbench.findings(), workbench.staged()) == ([], 0)
    workbench.import_rows([["sw-1", many[:1400], "short"]], header)
    assert len(workbench.findings()) == 93


@pytest.mark.parametrize("phase", list(ImportStatus)[2:6])
def test_interrupted_import_changes_nothing(workbench: Workbench, phase: ImportStatus) -> None:
    workbench.import_rows([finding_row(cve="CVE-2024-9999")])
    before = workbench.findings()
    workbench.progress.clear()
    rows = [finding_row(host=f"h-{number}") for number in range(2500)]
    with pytest.raises(ImportInterruptedError):
        workbench.run(
            csv_text(rows), stopping=lambda: any(p.status is phase for p in workbench.progress)
        )
    assert workbench.findings() == before
    assert workbench.staged() == 0


def test_progress_passes_all_phases_and_never_decreases(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "BATCH", 1000)
    monkeypatch.setattr(merge, "POSTGRES_BATCHES", 1)
    workbench.import_rows([finding_row(host=f"h-{number}") for number in range(2500)])
    progress = workbench.progress
    phases = list(dict.fromkeys(each.status for each in progress))
    assert phases == ["parsing", "staging", "processing", "finalizing"]
    assert [each.overall for each in progress] == sorted(each.overall for each in progress)
    assert [each.processed for each in progress] == sorted(each.processed for each in progress)
    assert progress[-1].processed == progress[-1].total == 2500
    assert len([each for each in progress if each.status == "processing"]) == 3


def test_job_is_completed_with_its_result(workbench: Workbench) -> None:
    result = workbench.import_rows([finding_row()])
    job = workbench.store.job(1)
    assert job is not None
    assert (job.status, job.total, job.processed, job.vendor) == ("completed", 1, 1, "Other")
    assert job.result == result


def test_daily_totals_match_the_open_findings_after_the_import(workbench: Workbench) -> None:
    header = (*HEADER, "definition.vpr.score")
    rows = [
        [*finding_row(host=f"h-{n}", severity=s), "2.5"]
        for n, s in enumerate(("High", "High", "Low"))
    ]
    workbench.import_rows(rows, header)
    workbench.import_rows(rows[:2], header, scope="vendor", confirm=True)
    with workbench.database.reading() as connection:
        (totals,) = connection.execute(select(vulnerability_daily_totals)).mappings().all()
    assert (totals["high_count"], totals["high_total_vpr"], totals["low_count"]) == (2, 5.0, 0)
    assert (totals["total_vulnerabilities"], totals["resolved_count"]) == (2, 1)


def test_recover_fails_unfinished_jobs(workbench: Workbench) -> None:
    running = workbench.job(session_id="x")
    workbench.store.update_job(running.import_id, status="running")
    workbench.import_rows([finding_row()])
    assert workbench.store.recover(5) == [running.import_id]
    job = workbench.store.job(running.import_id)
    assert job is not None
    assert (job.status, job.error_code, job.finished_at) == ("failed", "INTERRUPTED", 5)
    assert workbench.store.recover(6) == []


def test_processed_and_percentage_move_while_the_file_is_read(workbench: Workbench) -> None:
    rows = csv_text([finding_row(host=f"h-{number}") for number in range(30_000)])
    workbench.run(rows)
    reading = [each for each in workbench.progress if each.status == ImportStatus.STAGING]
    shares = [percentage(each.processed, each.total) for each in reading]
    assert shares == sorted(shares)
    assert len(set(shares)) > 3
    assert shares[-1] == 60
    merging = [each for each in workbench.progress if each.status == ImportStatus.PROCESSING]
    assert merging[0].processed > reading[-1].processed
    assert merging[-1].processed <= 30_000
