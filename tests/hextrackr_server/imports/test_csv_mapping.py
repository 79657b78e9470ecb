"""How a row of an export becomes findings."""

from __future__ import annotations

import pytest

from hextrackr_server.imports.csv_mapping import (
    COLUMNS,
    MAXIMUM_ADVISORIES,
    Finding,
    RowMapper,
    RowRejected,
    host_name,
    missing_columns,
    score,
    vendor_group,
)
from hextrackr_server.text import iso_date

DAY = "2025-09-30"


def mapped(**cells: str) -> list[Finding]:
    """The findings of a row with these columns; `__` in a name stands for a dot."""
    names = [name.replace("__", ".") for name in cells]
    return RowMapper(names, DAY).findings(2, list(cells.values()))


def one(**cells: str) -> Finding:
    (finding,) = mapped(**({"hostname": "web-1", "cve": "CVE-2024-1000"} | cells))
    return finding


@pytest.mark.parametrize(
    ("field", "column"), [(field, column) for field, names in COLUMNS.items() for column in names]
)
def test_every_alias_of_a_column_is_read(field: str, column: str) -> None:
    values = {
        "cve": "CVE-2024-7777",
        "ip_address": "10.0.0.1",
        "severity": "High",
        "vpr_score": "7.5",
        "cvss_score": "7.5",
        "vendor": "CISCO",
        "vulnerability_date": "2024-02-03",
        "first_seen": "2024-02-03",
        "last_seen": "2024-02-03",
    }
    value = values.get(field, "text")
    base = {"cve": "CVE-2024-7777", "hostname": "h", "plugin_id": "7"}
    cells = {name: cell for name, cell in base.items() if name != field}
    if field == "asset_id":
        cells.pop("cve")
    (finding,) = RowMapper([*cells, column], DAY).findings(2, [*cells.values(), value])
    if field == "asset_id":
        assert finding["unique_key"] == "asset:text|plugin:7"
    else:
        assert str(finding[field]) == value  # type: ignore[literal-required]


def test_column_names_do_not_depend_on_case() -> None:
    assert mapped(HOSTNAME="web-1", CvE="CVE-2024-1000")[0]["hostname"] == "web-1"


def test_the_first_alias_that_is_not_empty_counts() -> None:
    finding = one(definition__vpr__score="", vpr_score="3.1", vpr="9.9")
    assert finding["vpr_score"] == 3.1


def test_a_row_with_three_cves_is_three_findings() -> None:
    findings = mapped(
        hostname="h", cve="CVE-2024-1111, cve-2024-2222 CVE-2024-3333", description="d"
    )
    assert [each["cve"] for each in findings] == ["CVE-2024-1111", "CVE-2024-2222", "CVE-2024-3333"]
    assert [each["description"] for each in findings][1] == "d (CVE-2024-2222)"
    assert len({each["unique_key"] for each in findings}) == 3


def test_a_cve_that_is_named_twice_is_one_finding() -> None:
    assert len(mapped(hostname="h", cve="CVE-2024-1111,CVE-2024-1111")) == 1


def test_a_row_cannot_be_more_findings_than_five_hundred() -> None:
    mapper = RowMapper(["hostname", "cve"], DAY)
    cves = " ".join(f"CVE-2024-{number}" for number in range(1000, 9000))
    assert len(mapper.findings(2, ["h", cves])) == 500
    assert mapper.warnings == [("cve", "the row has 8000 CVEs; the first 500 are imported")]


def test_a_cve_in_the_plugins_name_is_found() -> None:
    assert (
        mapped(hostname="h", plugin_name="Kernel flaw (CVE-2023-4444)")[0]["cve"] == "CVE-2023-4444"
    )


def test_a_cisco_advisory_serves_where_there_is_no_cve() -> None:
    name = "Cisco IOS XE Denial of Service (cisco-sa-IOSXE-dos-AbC1)"
    assert mapped(hostname="h", **{"definition.name": name})[0]["cve"] == "cisco-sa-iosxe-dos-abc1"


def test_a_plugin_without_a_cve_is_a_finding() -> None:
    finding = mapped(hostname="h", plugin_id="1001", cve="")[0]
    assert finding["cve"] == ""
    assert finding["unique_key"] == "plugin:1001|host:h|vendor:Other"


def test_a_row_without_a_host_is_rejected_at_its_column() -> None:
    with pytest.raises(RowRejected, match="names no host") as rejected:
        mapped(asset__name=" ", cve="CVE-2024-1000, CVE-2024-2000", plugin_id="13")
    assert rejected.value.column == "asset.name"
    assert rejected.value.mentions == [
        ("cve", "CVE-2024-1000"),
        ("cve", "CVE-2024-2000"),
        ("plugin_id", "13"),
    ]


def test_a_row_without_a_host_mentions_more_cves_than_a_row_may_report() -> None:
    many = [f"CVE-2024-{number}" for number in range(1000, 1000 + MAXIMUM_ADVISORIES + 1)]
    with pytest.raises(RowRejected) as rejected:
        mapped(asset__name="", cve=" ".join(many))
    assert rejected.value.mentions == [("cve", each) for each in many]


def test_what_is_no_cve_is_told_where_the_row_names_no_plugin() -> None:
    with pytest.raises(RowRejected, match="'CVE-1' is not a CVE ID"):
        mapped(hostname="h", cve="CVE-1")


def test_a_row_without_a_cve_or_plugin_is_rejected() -> None:
    with pytest.raises(RowRejected, match="no CVE and no plugin") as rejected:
        mapped(hostname="H.example", definition__cve="")
    assert rejected.value.mentions == [("hostname", "h")]


def test_a_row_that_is_longer_than_the_header_is_rejected() -> None:
    mapper = RowMapper(["hostname", "cve"], DAY)
    with pytest.raises(RowRejected, match="the row has 3 cells, the header 2") as rejected:
        mapper.findings(2, ["h", "CVE-2024-1000", "surplus"])
    assert rejected.value.mentions == []


def test_empty_cells_beyond_the_header_and_missing_ones_do_no_harm() -> None:
    mapper = RowMapper(["hostname", "cve", "severity"], DAY)
    assert mapper.findings(2, ["h", "CVE-2024-1000", "Low", "", ""])[0]["severity"] == "Low"
    assert mapper.findings(3, ["h", "CVE-2024-1000"])[0]["severity"] == "Unknown"


@pytest.mark.parametrize(
    ("written", "severity"),
    [
        ("CRITICAL", "Critical"),
        ("high", "High"),
        ("Moderate", "Medium"),
        ("low", "Low"),
        ("None", "Info"),
        ("informational", "Info"),
        ("", "Unknown"),
        ("<script>", "Unknown"),
    ],
)
def test_a_severity_is_one_of_six(written: str, severity: str) -> None:
    assert one(severity=written)["severity"] == severity


def test_what_is_left_out_of_a_row_is_a_doubt_at_its_column() -> None:
    mapper = RowMapper(["hostname", "cve", "VPR", "severity"], DAY)
    (finding,) = mapper.findings(2, ["h", "CVE-2024-1000", "n/a", "Bad"])
    assert finding["vpr_score"] is None
    assert [column for column, _ in mapper.warnings] == ["severity", "VPR"]
    mapper.findings(3, ["h", "CVE-2024-1000", "5", "High"])
    assert mapper.warnings == []


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("7.5", 7.5),
        ("11", 10.0),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("1_0", None),
        ("7,5", None),
        ("", None),
    ],
)
def test_a_score_is_a_finite_number_from_0_to_10(written: str, value: float | None) -> None:
    assert score(written) == value


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("WEB-1.corp.example", "web-1"),
        ("10.1.2.3", "10.1.2.3"),
        ("FE80::1", "fe80::1"),
        ("web\x00-1\x1b", "web -1"),
        ("", ""),
    ],
)
def test_a_host_is_its_short_name_or_its_address(written: str, name: str) -> None:
    assert host_name(written) == name


def test_the_first_valid_address_of_a_list_counts() -> None:
    assert (
        one(ip_address="unknown, 10.0.0.999; 2001:db8::1, 10.0.0.1")["ip_address"] == "2001:db8::1"
    )


def test_an_address_is_the_name_of_a_host_that_has_none() -> None:
    finding = mapped(ip_address="10.0.0.9", cve="CVE-2024-1000")[0]
    assert (finding["hostname"], finding["ip_address"]) == ("10.0.0.9", "10.0.0.9")


@pytest.mark.parametrize(
    ("family", "group"),
    [
        ("CISCO", "CISCO"),
        ("Cisco IOS", "CISCO"),
        ("Palo Alto Local Security Checks", "Palo Alto"),
        ("paloalto", "Palo Alto"),
        ("Windows : Microsoft Bulletins", "Other"),
        ("", "Other"),
    ],
)
def test_vendors_are_three_groups(family: str, group: str) -> None:
    assert vendor_group(family) == group


def test_rows_without_a_vendor_have_that_of_the_import() -> None:
    mapper = RowMapper(["hostname", "cve", "vendor"], DAY, "cisco")
    assert mapper.findings(2, ["h", "CVE-2024-1000", ""])[0]["vendor"] == "CISCO"
    assert mapper.findings(3, ["h", "CVE-2024-1000", "Microsoft"])[0]["vendor"] == "Other"


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2025-09-01T10:20:30.000Z", "2025-09-01"),
        ("2025-09-01", "2025-09-01"),
        ("9/1/2025", "2025-09-01"),
        ("2025-02-30", None),
        ("0000-01-01", None),
        ("yesterday", None),
        ("2025-09-011", None),
    ],
)
def test_a_date_is_a_day_or_nothing(written: str, day: str | None) -> None:
    assert iso_date(written) == day


def test_dates_that_are_not_told_are_the_day_of_the_scan() -> None:
    finding = one(first_seen="?")
    assert (finding["first_seen"], finding["last_seen"]) == (DAY, DAY)


def test_one_cve_on_one_host_is_one_finding_whatever_plugin_tells_it() -> None:
    keys = {one(plugin_id=plugin)["unique_key"] for plugin in ("1", "2")}
    assert keys == {"cve:CVE-2024-1000|host:web-1"}


def test_an_asset_and_plugin_identify_a_finding_without_a_cve() -> None:
    finding = mapped(hostname="h", asset_id="a-1", plugin_id="1001")[0]
    assert (finding["unique_key"], finding["dedup_tier"]) == ("asset:a-1|plugin:1001", 1)


def test_control_characters_and_overlong_cells_are_cut_away() -> None:
    finding = one(
        plugin_name="a\x00b\x1b[31m\u2028c" + "x" * 1000,
        **{"definition.description": "l1\nl2\x07" + "y" * 20000},
    )
    assert finding["plugin_name"].startswith("a b [31m c")
    assert len(finding["plugin_name"]) == 500
    assert finding["description"].startswith("l1\nl2y")
    assert len(finding["description"]) < 10_001


@pytest.mark.parametrize("state", ["Fixed", "REMEDIATED", "resolved", "Closed"])
def test_a_row_that_reports_a_repair_is_a_resolved_finding(state: str) -> None:
    assert one(state=state)["lifecycle_state"] == "resolved"


def test_of_two_rows_the_open_and_graver_one_weighs_more() -> None:
    rows = [
        one(severity="Low", vpr="1"),
        one(severity="Critical", vpr="9"),
        one(severity="Critical", vpr="9.5"),
        one(severity="Critical", vpr="10", state="Fixed"),
    ]
    by_weight = sorted(rows, key=lambda each: each["weight"])
    assert [each["vpr_score"] for each in by_weight] == [10, 1, 9, 9.5]


def test_a_header_is_told_what_it_lacks() -> None:
    assert missing_columns(["Device", "CVE"]) == []
    assert [what for what, _ in missing_columns(["Device", "Description"])] == ["vulnerability"]
    ticket = ["Date Submitted", "Hexagon Ticket #", "Location", "Devices", "Status"]
    problems = dict(missing_columns(ticket))
    assert "asset.name, hostname, Host, Device" in problems["host"]
    assert "definition.cve" in problems["vulnerability"]
