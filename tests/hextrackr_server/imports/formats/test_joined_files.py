"""Files that join several exports: headers in the middle, in another case, order or format."""

from __future__ import annotations

from pathlib import Path

import pytest

from hextrackr_server.imports.formats.inspection import Inspection
from tests.hextrackr_server.imports.formats.exports import (
    check_findings,
    expect,
    inspect_text,
    messages,
)

HEADER = "Plugin ID,CVE,Risk,Host,Port,Name,Plugin Publication Date"
FIRST = "1,CVE-2030-1001,High,192.0.2.1,80,A,2030/01/02"
SECOND = "2,CVE-2030-1002,Low,192.0.2.2,443,B,2030/01/03"


def usual(number: int, **values: object) -> dict[str, object]:
    address = f"192.0.2.{number}"
    given: dict[str, object] = {
        "cve": f"CVE-2030-100{number}", "plugin_id": str(number), "plugin_name": "AB"[number - 1],
        "severity": ["High", "Low"][number - 1], "vulnerability_date": f"2030-01-0{number + 1}",
        "extra": {"port": [80, 443][number - 1]},
    }  # fmt: skip
    return expect(address, **given | values)


def check_both(inspection: Inspection) -> None:
    check_findings(inspection, usual(1), usual(2))
    assert (inspection.rows, inspection.rows_skipped, inspection.rows_rejected) == (3, 1, 0)
    assert messages(inspection) == []


@pytest.mark.parametrize(
    "again",
    [
        HEADER.upper(), HEADER.lower(), HEADER.replace(" ", "_"), HEADER.replace("Name", " name "),
        f"\ufeff{HEADER}", '\ufeff"' + HEADER.replace(",", '","') + '"',
        HEADER.replace(",", ", "), "'" + HEADER.replace(",", ",'"),
        '"=""' + HEADER.replace(",", '""","=""') + '"""',
    ],
    ids=[
        "upper_case", "lower_case", "joints", "blanks", "mark", "mark_and_quotes",
        "blanks_behind_commas", "apostrophes", "guards",
    ],
)  # fmt: skip
def test_header_in_the_middle_is_skipped_in_every_spelling(tmp_path: Path, again: str) -> None:
    check_both(inspect_text(tmp_path, f"{HEADER}\n{FIRST}\n{again}\n{SECOND}\n"))


def reorder(line: str, order: list[int]) -> str:
    cells = line.split(",")
    return ",".join(cells[index] if index < len(cells) else "" for index in order)


@pytest.mark.parametrize("order", [[6, 5, 4, 3, 2, 1, 0], [1, 0, 3, 2, 5, 4, 6, 7]])
@pytest.mark.parametrize("change", [str, str.upper])
def test_rows_follow_the_order_of_the_header_above_them(
    tmp_path: Path, order: list[int], change: type[str]
) -> None:
    again = change(reorder(HEADER, order))
    check_both(inspect_text(tmp_path, f"{HEADER}\n{FIRST}\n{again}\n{reorder(SECOND, order)}\n"))


def test_each_header_has_its_own_order(tmp_path: Path) -> None:
    order = [3, 0, 5, 1, 2, 4, 6]
    moved = f"{reorder(HEADER, order)}\n{reorder(FIRST, order)}\n"
    inspection = inspect_text(tmp_path, f"{moved}{HEADER}\n{SECOND}\n{moved}")
    check_findings(inspection, usual(1), usual(2))
    assert (inspection.rows_skipped, inspection.rows_rejected) == (2, 0)


def test_rows_below_a_header_with_fewer_columns_have_no_such_values(tmp_path: Path) -> None:
    text = f"{HEADER}\n{FIRST}\nHost,Name,CVE,Plugin ID,Risk\n192.0.2.2,B,CVE-2030-1002,2,Low\n"
    inspection = inspect_text(tmp_path, text)
    check_findings(inspection, usual(1), usual(2, vulnerability_date=None, extra={"port": None}))
    assert messages(inspection) == []


def test_columns_of_one_name_keep_their_order_below_another_header(tmp_path: Path) -> None:
    text = (
        "Plugin ID,Risk,Host,Name,Risk\n1,,h1,A,High\nRisk,Risk,Name,Host,Plugin ID\n,Low,B,h2,2\n"
    )
    found = inspect_text(tmp_path, text).findings
    assert [(each.host_key, each.plugin_id, each.severity) for each in found] == [
        ("h1", "1", "High"), ("h2", "2", "Low"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("again", "row", "why"),
    [
        ("Host,Plugin ID,Name,Risk,VPR Score", "h,2,B,Low,5.0", "('VPR Score')"),
        ("IP,QID,Title,Severity,CVE ID", "192.0.2.2,2,B,5,", "('IP', 'QID', 'Title', 'Severity'"),
        ("Plugin ID,Name,Risk", "2,B,Low", "('and fewer')"),
    ],
    ids=["more_columns", "another_format", "no_host"],
)
def test_rows_below_a_header_with_other_columns_are_rejected(
    tmp_path: Path, again: str, row: str, why: str
) -> None:
    inspection = inspect_text(tmp_path, f"{HEADER}\n{FIRST}\n{again}\n{row}\n{row}\nEnd\n")
    check_findings(inspection, usual(1))
    assert (inspection.rows, inspection.rows_skipped, inspection.rows_rejected) == (5, 2, 2)
    for _, number, _, message in messages(inspection):
        assert number in {4, 5}
        assert "the header in row 3 has other columns than the first header (" in message
        assert why.strip("()'") in message
        assert "import the rows below it as a file of their own" in message


def test_rows_that_are_longer_than_the_header_above_them_are_rejected(tmp_path: Path) -> None:
    again = "Host,Name,Plugin ID,Risk"
    text = f"{HEADER}\n{FIRST}\n{again}\nh,B,2,Low,x\nh,B,2,Low,,\n"
    inspection = inspect_text(tmp_path, text)
    assert [each.host_key for each in inspection.findings] == ["192.0.2.1", "h"]
    assert [each[1::2] for each in messages(inspection)] == [
        (4, "the row is left out: the row has 5 cells, the header 4")
    ]


def test_invalid_byte_is_reported_in_the_column_of_the_first_header(tmp_path: Path) -> None:
    text = f"{HEADER}\n{FIRST}\nHost,Name,Plugin ID,Risk\n".encode()
    inspection = inspect_text(tmp_path, text + b"h,B\xff\xc3\xa9,2,Low\n")
    assert [each[:3] for each in messages(inspection)] == [("Name", 4, "B\ufffdé")]


def test_dates_are_settled_below_each_header(tmp_path: Path) -> None:
    text = (
        "hostname,cve,first_seen,last_seen\nh1,CVE-2030-1001,03/04/2030,05/07/2030\n"
        "hostname,cve,last_seen,first_seen\nh2,CVE-2030-1002,05/28/2030,25/03/2030\n"
    )
    found = inspect_text(tmp_path, text).findings
    assert [(each.first_seen, each.last_seen) for each in found] == [
        ("2030-04-03", "2030-05-07"), ("2030-03-25", "2030-05-28"),
    ]  # fmt: skip


def test_scan_results_with_another_launch_date_are_rejected(tmp_path: Path) -> None:
    header = "IP,QID,Title,Severity,CVE ID"
    launch = '"Launch Date","Active Hosts","Total Hosts"\n"0{}/27/2030 at 10:00:00","3","4"\n\n'
    rows = [f"192.0.2.{number},9{number},A,5,\n" for number in (1, 2)]
    text = "".join(f"{launch.format(number)}{header}\n{row}" for number, row in enumerate(rows, 2))
    inspection = inspect_text(tmp_path, text)
    assert [(each.host_key, each.last_seen) for each in inspection.findings] == [
        ("192.0.2.1", "2030-02-27")
    ]
    assert inspection.rows_rejected == 3  # with both rows of the second `Launch Date`
    assert "has a 'Launch Date' of its own" in inspection.warnings[-1]["message"]


def test_row_with_words_of_a_header_is_a_finding(tmp_path: Path) -> None:
    text = "hostname,cve,plugin_name\nhostname,CVE-2030-1001,A\nname,,A\ncve,,\n"
    inspection = inspect_text(tmp_path, text)
    assert [(each.host_key, each.plugin_name) for each in inspection.findings] == [
        ("hostname", "A"), ("name", "A"),
    ]  # fmt: skip
    assert (inspection.rows_skipped, inspection.rows_rejected) == (0, 1)


@pytest.mark.parametrize("end", ["", "\n"])
def test_file_that_ends_with_a_header_has_all_rows(tmp_path: Path, end: str) -> None:
    inspection = inspect_text(tmp_path, f"{HEADER}\n{FIRST}\n{SECOND}\n{HEADER}{end}")
    check_findings(inspection, usual(1), usual(2))


def test_file_that_is_cut_below_another_header_is_refused(tmp_path: Path) -> None:
    text = f"{HEADER}\n{FIRST}\nHost,Name,CVE,Plugin ID\nh,B,CVE-2030-1002,2\nh,B,CVE"
    assert "the last row (5) has 3 of 4 cells" in str(inspect_text(tmp_path, text).refused)
    text = f'{HEADER}\n{FIRST}\nHost,Name,CVE,Plugin ID\nh,B,CVE-2030-1002,2\nh,B,"CVE'
    inspection = inspect_text(tmp_path, text, allow_partial=True)
    assert [each.host_key for each in inspection.findings] == ["192.0.2.1", "h"]
