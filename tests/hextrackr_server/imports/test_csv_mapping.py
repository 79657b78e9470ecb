"""Tests of mapping rows of an export to findings."""

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
    """Return the findings of a row with these columns; `__` in a name stands for a dot."""
    names = [name.replace("__", ".") for name in cells]
    return RowMapper(names, DAY).findings(2, list(cells.values()))


def one(**cells: str) -> Finding:
    (finding,) = mapped(**({"hostname": "web-1", "cve": "CVE-2024-1000"} | cells))
    return finding


@pytest.mark.parametrize(
    ("field", "column"), [(field, column) for field, names in COLUMNS.items() for column in names]
)
def test_each_alias_of_a_column_is_read(field: str, column: str) -> None:
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


def test_column_names_are_case_insensitive() -> None:
    assert mapped(HOSTNAME="web-1", CvE="CVE-2024-1000")[0]["hostname"] == "web-1"


def test_first_nonempty_alias_is_used() -> None:
    finding = one(definition__vpr__score="", vpr_score="3.1", vpr="9.9")
    assert finding["vpr_score"] == 3.1


def test_row_with_three_cves_yields_three_findings() -> None:
    findings = mapped(
        hostname="h", cve="CVE-2024-1111, cve-2024-2222 CVE-2024-3333", description="d"
    )
    assert [each["cve"] for each in findings] == ["CVE-2024-1111", "CVE-2024-2222", "CVE-2024-3333"]
    assert [each["description"] for each in findings][1] == "d (CVE-2024-2222)"
    assert len({each["unique_key"] for each in findings}) == 3


def test_repeated_cve_yields_one_finding() -> None:
    assert len(mapped(hostname="h", cve="CVE-2024-1111,CVE-2024-1111")) == 1


def test_row_yields_at_most_500_findings() -> None:
    mapper = RowMapper(["hostname", "cve"], DAY)
    cves = " ".join(f"CVE-2024-{number}" for number in range(1000, 9000))
    assert len(mapper.findings(2, ["h", cves])) == 500
    assert mapper.warnings == [("cve", "the row has 8000 CVEs; the first 500 are imported")]


def test_cve_is_read_from_the_plugin_name() -> None:
    assert (
        mapped(hostname="h", plugin_name="Kernel flaw (CVE-2023-4444)")[0]["cve"] == "CVE-2023-4444"
    )


def test_cisco_advisory_is_used_when_the_row_has_no_cve() -> None:
    name = "Cisco IOS XE Denial of Service (cisco-sa-IOSXE-dos-AbC1)"
    assert mapped(hostname="h", **{"definition.name": name})[0]["cve"] == "cisco-sa-iosxe-dos-abc1"


def test_plugin_without_a_cve_yields_a_finding() -> None:
    finding = mapped(hostname="h", plugin_id="1001", cve="")[0]
    assert finding["cve"] == ""
    assert finding["unique_key"] == "plugin:1001|host:h|vendor:Other"


def test_row_without_a_host_is_rejected_with_its_column() -> None:
    with pytest.raises(RowRejected, match="names no host") as rejected:
        mapped(asset__name=" ", cve="CVE-2024-1000, CVE-2024-2000", plugin_id="13")
    assert rejected.value.column == "asset.name"
    assert rejected.value.mentions == [
        ("cve", "CVE-2024-1000"),
        ("cve", "CVE-2024-2000"),
        ("plugin_id", "13"),
    ]


def test_rejected_row_mentions_all_cves_without_a_limit() -> None:
    many = [f"CVE-2024-{number}" for number in range(1000, 1000 + MAXIMUM_ADVISORIES + 1)]
    with pytest.raises(RowRejected) as rejected:
        mapped(asset__name="", cve=" ".join(many))
    assert rejected.value.mentions == [("cve", each) for each in many]


def test_invalid_cve_is_named_when_the_row_has_no_plugin() -> None:
    with pytest.raises(RowRejected, match="'CVE-1' is not a CVE ID"):
        mapped(hostname="h", cve="CVE-1")


def test_row_without_a_cve_and_plugin_is_rejected() -> None:
    with pytest.raises(RowRejected, match="no CVE and no plugin") as rejected:
        mapped(hostname="H.example", definition__cve="")
    assert rejected.value.mentions == [("hostname", "h")]


def test_row_longer_than_the_header_is_rejected() -> None:
    mapper = RowMapper(["hostname", "cve"], DAY)
    with pytest.raises(RowRejected, match="the row has 3 cells, the header 2") as rejected:
        mapper.findings(2, ["h", "CVE-2024-1000", "surplus"])
    assert rejected.value.mentions == []


def test_surplus_empty_cells_and_missing_cells_are_accepted() -> None:
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
def test_severity_is_normalized(written: str, severity: str) -> None:
    assert one(severity=written)["severity"] == severity


def test_ignored_value_is_a_warning_with_its_column() -> None:
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
def test_score_is_a_finite_number_from_0_to_10(written: str, value: float | None) -> None:
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
def test_host_name_is_the_short_name_or_the_address(written: str, name: str) -> None:
    assert host_name(written) == name


def test_first_valid_address_of_a_list_is_used() -> None:
    assert (
        one(ip_address="unknown, 10.0.0.999; 2001:db8::1, 10.0.0.1")["ip_address"] == "2001:db8::1"
    )


def test_address_is_used_as_a_missing_host_name() -> None:
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
def test_vendor_is_one_of_three_groups(family: str, group: str) -> None:
    assert vendor_group(family) == group


def test_vendor_of_the_import_applies_when_a_row_has_none() -> None:
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
def test_date_is_an_iso_day_or_none(written: str, day: str | None) -> None:
    assert iso_date(written) == day


def test_missing_dates_default_to_the_scan_date() -> None:
    finding = one(first_seen="?")
    assert (finding["first_seen"], finding["last_seen"]) == (DAY, DAY)


def test_key_of_a_cve_does_not_depend_on_the_plugin() -> None:
    keys = {one(plugin_id=plugin)["unique_key"] for plugin in ("1", "2")}
    assert keys == {"cve:CVE-2024-1000|host:web-1"}


def test_key_without_a_cve_contains_asset_and_plugin() -> None:
    finding = mapped(hostname="h", asset_id="a-1", plugin_id="1001")[0]
    assert (finding["unique_key"], finding["dedup_tier"]) == ("asset:a-1|plugin:1001", 1)


def test_control_characters_and_overlong_texts_are_removed() -> None:
    finding = one(
        plugin_name="a\x00b\x1b[31m\u2028c" + "x" * 1000,
        **{"definition.description": "l1\nl2\x07" + "y" * 20000},
    )
    assert finding["plugin_name"].startswith("a b [31m c")
    assert len(finding["plugin_name"]) == 500
    assert finding["description"].startswith("l1\nl2y")
    assert len(finding["description"]) < 10_001


@pytest.mark.parametrize("state", ["Fixed", "REMEDIATED", "resolved", "Closed"])
def test_row_with_a_fixed_state_yields_a_resolved_finding(state: str) -> None:
    assert one(state=state)["lifecycle_state"] == "resolved"


def test_open_and_more_severe_finding_has_the_greater_weight() -> None:
    rows = [
        one(severity="Low", vpr="1"),
        one(severity="Critical", vpr="9"),
        one(severity="Critical", vpr="9.5"),
        one(severity="Critical", vpr="10", state="Fixed"),
    ]
    by_weight = sorted(rows, key=lambda each: each["weight"])
    assert [each["vpr_score"] for each in by_weight] == [10, 1, 9, 9.5]


def test_missing_columns_are_listed_with_their_names() -> None:
    assert missing_columns(["Device", "CVE"]) == []
    assert [what for what, _ in missing_columns(["Device", "Description"])] == ["vulnerability"]
    ticket = ["Date Submitted", "Hexagon Ticket #", "Location", "Devices", "Status"]
    problems = dict(missing_columns(ticket))
    assert "asset.name, hostname, Host, Device" in problems["host"]
    assert "definition.cve" in problems["vulnerability"]
