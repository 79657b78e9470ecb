"""Tests of converting objects to a CSV file."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.imports.formats.profile import parse_profile
from hextrackr_server.imports.inline_rows import CHUNK_ROWS, rows_as_csv
from tests.hextrackr_server.support import Workbench


def table(rows: list[dict[str, Any]]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(rows_as_csv(rows)).decode(), newline="")))


def test_columns_are_the_union_of_all_objects() -> None:
    rows = [{"hostname": "a", "cve": "x"}, {"cve": "y", "severity": "Low"}]
    assert table(rows) == [["hostname", "cve", "severity"], ["a", "x", ""], ["", "y", "Low"]]


def test_column_names_are_case_insensitive_and_unknown_ones_are_dropped() -> None:
    rows = [{"Hostname": "a", "CVE": "x", "owner": "me"}, {"hostname": "b", "cve": "y"}]
    assert table(rows) == [["hostname", "cve"], ["a", "x"], ["b", "y"]]


def test_values_are_written_as_csv_text() -> None:
    rows = [{"hostname": 'a,"b"\nc', "plugin_id": 1001, "vpr": 7.5, "state": None, "cvss": True}]
    header, cells = table(rows)
    assert dict(zip(header, cells, strict=True)) == {
        "hostname": 'a,"b"\nc',
        "plugin_id": "1001",
        "vpr": "7.5",
        "state": "",
        "cvss": "True",
    }


def test_many_rows_are_written_in_chunks() -> None:
    rows = [{"hostname": f"h-{number}", "cve": "x"} for number in range(2 * CHUNK_ROWS + 1)]
    assert len(list(rows_as_csv(rows))) == 3
    assert [row[0] for row in table(rows)[1:]] == [row["hostname"] for row in rows]


def test_overlong_value_is_cut_and_keeps_row_numbers(
    workbench: Workbench,
) -> None:
    rows = [{"hostname": "a", "cve": "CVE-2024-1000", "description": "x\n" * 200_000}, {"cve": "y"}]
    result = workbench.run(b"".join(rows_as_csv(rows)))
    assert [each["row"] for each in result["errorDetails"]] == [3]
    assert len(workbench.findings()[0]["description"]) == 10_000


@pytest.mark.parametrize(
    ("rows", "lacking"),
    [
        ([{"hostname": "a"}], "lacks a column for the vulnerability"),
        ([{"hostname": "a", "owner": "me"}], "lacks a column for the vulnerability"),
        (
            [{"QID": 5, "Title": "Example", "Threat": "x"}],
            "lacks one of 'Asset Name', 'Asset IPV4', 'Asset Id'",
        ),
    ],
)
def test_objects_of_no_format_are_refused_with_their_missing_fields(
    rows: list[dict[str, Any]], lacking: str
) -> None:
    with pytest.raises(ServiceError) as refusal:
        table(rows)
    assert refusal.value.code is ErrorCode.VALIDATION_ERROR
    assert refusal.value.fields is not None
    assert lacking in [each["message"] for each in refusal.value.fields]


def test_object_without_names_is_refused() -> None:
    with pytest.raises(ServiceError, match="no known format has the names of the rows"):
        table([{}])


def test_objects_named_as_in_another_format_are_read_by_that_format(workbench: Workbench) -> None:
    row = {"IP": "192.0.2.7", "QID": 38170, "Title": "Example", "Severity": 4, "CVE ID": ""}
    result = workbench.run(b"".join(rows_as_csv([row])))
    assert result["summary"]["profile"] == "qualys_vm"
    (finding,) = workbench.findings()
    assert (finding["severity"], finding["unique_key"]) == (
        "High",
        "plugin:qualys:38170|host:192.0.2.7",
    )


def test_objects_named_as_in_a_mapping_are_read_by_it(workbench: Workbench) -> None:
    text = 'id = "ours"\n[columns]\nhost = ["Machine"]\nplugin_id = ["Check"]\n'
    mapping = parse_profile(text, "mapping")
    content = b"".join(rows_as_csv([{"machine": "h-1", "Check": 7, "owner": "me"}], mapping))
    assert content == b"machine,Check\r\nh-1,7\r\n"
    workbench.run(content, mapping=text)
    assert [each["unique_key"] for each in workbench.findings()] == ["plugin:ours:7|host:h-1"]
