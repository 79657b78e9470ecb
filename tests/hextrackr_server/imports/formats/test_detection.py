"""Detection of formats, refusals with their reason, and mappings of users."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from hextrackr_server.imports.formats import csv_header
from hextrackr_server.imports.formats.csv_header import read_beginning, split_wrapped
from hextrackr_server.imports.formats.csv_table import FileRefusedError
from hextrackr_server.imports.formats.detection import open_table
from hextrackr_server.imports.formats.inspection import inspect_file
from hextrackr_server.imports.formats.profile import (
    ORDER,
    ProfileError,
    load_profiles,
    parse_profile,
    read_mapping,
    read_profile,
)

NESSUS = "Plugin ID,CVE,Risk,Host,Protocol,Port,Name\n1,CVE-2030-1001,High,192.0.2.1,tcp,443,A\n"


def write(folder: Path, text: str | bytes, name: str = "export.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_profile_file_is_loaded() -> None:
    folder = Path(__file__).parents[4] / "hextrackr_server" / "imports" / "formats" / "profiles"
    assert {path.stem for path in folder.glob("*.toml")} == set(ORDER) == set(load_profiles())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_delimiter_line_end_and_encoding_do_not_change_the_format(
    tmp_path: Path, delimiter: str, end: str, encoding: str
) -> None:
    text = NESSUS.replace(",", delimiter).replace("\n", end)
    inspection = inspect_file(write(tmp_path, text.encode(encoding)))
    assert (inspection.profile, len(inspection.findings)) == ("nessus", 1)


@pytest.mark.parametrize(("text", "delimiters"), [
    (NESSUS, [","]),
    (NESSUS.replace(",", ";"), [",", ";"]),
    ("sep=;\n" + NESSUS.replace(",", ";"), [";"]),
])  # fmt: skip
def test_beginning_is_split_only_until_the_header_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, delimiters: list[str]
) -> None:
    tried: list[str] = []

    def read(path: Path, delimiter: str) -> list[csv_header.BeginningRow]:
        tried.append(delimiter)
        return read_beginning(path, delimiter)

    monkeypatch.setattr(csv_header, "read_beginning", read)
    assert inspect_file(write(tmp_path, text)).profile == "nessus"
    assert tried == delimiters


def test_windows_1252_is_read_when_no_character_is_utf8(tmp_path: Path) -> None:
    text = "hostname,cve,severity,description\nh1,CVE-2030-1001,High,Überlauf \u2013 “x”\n"
    inspection = inspect_file(write(tmp_path, text.encode("cp1252")))
    assert inspection.findings[0].description == "Überlauf \u2013 “x”"


def test_column_names_are_compared_without_case_and_punctuation(tmp_path: Path) -> None:
    text = "plugin_id,cve,RISK,host,protocol,port,name\n1,,High,h1,tcp,1,A\n"
    assert inspect_file(write(tmp_path, text)).profile == "nessus"


def test_footer_rows_and_repeated_headers_are_skipped(tmp_path: Path) -> None:
    header = NESSUS.splitlines()[0]
    inspection = inspect_file(write(tmp_path, f"{NESSUS}{header}\n,,,,,,\nEnd of report\n"))
    assert (len(inspection.findings), inspection.rows, inspection.rows_skipped) == (1, 3, 2)
    assert inspection.refused is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b'{"a": 1}', "this is JSON"),
        (b'[{"a": 1}]', "this is JSON"),
        (b"<!DOCTYPE html><html></html>", "this is HTML"),
        (b"<?xml version='1.0'?><unknown/>", "XML with the root element 'unknown'"),
        (b"<Nessus & Co>", "not well-formed XML"),
        (b"%PDF-1.7", "a PDF document"),
        (b"{\\rtf1\\ansi }", "an RTF document"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a spreadsheet"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive, not a CSV or XML export: unpack it"),
        (b"BZh91AY&SY", "a bzip2 archive"),
        (b"a.csv".ljust(257, b"\0") + b"ustar\0", "a tar archive"),
        (b"SQLite format 3\0", "a SQLite database"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (bytes(range(256)), "this is binary data"),
        (b"<?xml version='1.0'?><html xmlns='x'/>", "this is HTML"),
        (b"\n \n\t\n", "the file is empty"),
        (b"\xef\xbb\xbf\n", "the file is empty"),
        (b"one,two\n1,2\n", "The nearest format is"),
        (b"RecommendedRemediation,Count\nUpdate,3\n", "summary of remediations"),
    ],
)
def test_file_of_another_kind_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    inspection = inspect_file(write(tmp_path, content))
    assert reason in str(inspection.refused)
    assert inspection.as_json()["findings"] == []


def test_catalog_is_refused_with_its_format(tmp_path: Path) -> None:
    body = inspect_file(write(tmp_path, "cveID,dateAdded,dueDate\n")).as_json()
    assert (body["profile"], body["findings"]) == ("kev_csv", [])
    assert "kev-sync" in body["refused"]


def test_file_without_a_valid_row_is_refused_with_its_numbers(tmp_path: Path) -> None:
    inspection = inspect_file(write(tmp_path, "hostname,cve\n,CVE-2030-1001\nh1,\n"))
    assert inspection.refused == "none of the 2 rows is valid"
    assert (inspection.rows, inspection.rows_rejected, len(inspection.warnings)) == (2, 2, 3)
    messages = [each["message"] for each in inspection.warnings if each["row"]]
    assert all(each.startswith("the row is left out") for each in messages)


@pytest.mark.parametrize(("member", "kind"), [("xl/workbook.xml", "spreadsheet"), ("a.csv", "ZIP")])
def test_zip_file_is_named_by_its_content(tmp_path: Path, member: str, kind: str) -> None:
    path = tmp_path / "export.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "x")
    assert kind in str(inspect_file(path).refused)


def test_refusal_names_the_header_and_the_columns_that_are_missing(tmp_path: Path) -> None:
    path = write(tmp_path, "Plugin ID,Risk,Machine,Plugin Name\n1,High,h1,A\n")
    text = str(inspect_file(path).refused)
    assert "(row 1): 'Plugin ID', 'Risk', 'Machine', 'Plugin Name'" in text
    assert "which lacks: a column for the host" in text


def test_too_many_columns_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, NESSUS.splitlines()[0] + ",x" * 1000 + "\n")
    with pytest.raises(FileRefusedError, match="at most 1000 are read"):
        open_table(path)


MAPPING = """
title = "Our scanner"
date_order = "dmy"
[columns]
host = ["Machine"]
plugin_id = ["Check"]
severity = ["Level"]
first_seen = ["Found"]
state = ["Condition"]
[severities]
"p1" = "Critical"
[states]
fixed = ["done"]
"""


def test_mapping_of_a_user_reads_any_csv_file(tmp_path: Path) -> None:
    mapping = read_profile(write(tmp_path, MAPPING, "ours.toml"))
    text = "Report of today\n\nMachine;Check;Level;Found;Condition\nm1;c1;P1;03/02/2030;done\n"
    inspection = inspect_file(write(tmp_path, text), mapping=mapping, scan_date="2030-06-01")
    (finding,) = inspection.findings
    assert inspection.profile == "ours"
    assert (finding.severity, finding.first_seen, finding.closed_as) == (
        "Critical", "2030-02-03", "fixed"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[columns]\nhosts = []", "unknown field 'hosts': did you mean 'host'?"),
        ("column = {}", "unknown key 'column': did you mean 'columns'?"),
        ("[columns]\nhost = 'a'", "host must be a list of strings, got 'a'"),
        ("resolve = 'all'", "resolve must be one of 'none', 'hosts', got 'all'"),
        ("[severities]\nx = 'Bad'", "severities.x must be one of 'Critical'"),
        ("columns = 1", "columns must be a table, got 1"),
        ("[states]\nclosed = ['x']", "unknown state 'closed'"),
        ("= 1", "not a TOML file"),
        ("lists_info = 'no'", "lists_info must be true or false, without quotes, got 'no'"),
        ("stale_days = 'many'", "stale_days must be a number of days from 0, got 'many'"),
        ("stale_days = -1", "stale_days must be a number of days from 0, got -1"),
        ("name_separator = 1", "name_separator must be a string, got 1"),
    ],
)
def test_mapping_with_a_mistake_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=r"ours\.toml") as caught:
        read_profile(write(tmp_path, text, "ours.toml"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 32 + " = 1",
        "[a" + " .\ta" * 32 + "]",
        "x = {'a b'" + ".'a'" * 32 + " = 1}",
        'x = [{""' + '."\\""' * 32 + " = 1}]",
    ],
    ids=["bare", "table", "single quotes", "double quotes"],
)
def test_mapping_with_a_key_of_too_many_parts_is_refused(text: str) -> None:
    with pytest.raises(ProfileError, match="a key must have at most 32 parts with dots between"):
        parse_profile(text, "ours")


def test_mapping_may_have_many_dots_outside_of_keys() -> None:
    names = [f"asset.{'part.' * 20}name {number}" for number in range(100)]
    profile = parse_profile(f"[columns]\nhost = {json.dumps(names)} # {'. ' * 100}", "ours")
    assert list(profile.columns["host"]) == names


def test_mapping_with_a_number_of_too_many_digits_is_refused() -> None:
    with pytest.raises(ProfileError, match="not a TOML file"):
        parse_profile("stale_days = " + "1" * 5000, "ours")


def test_mapping_with_the_id_of_a_known_format_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, 'id = "nessus"\n[columns]\nhost = ["Machine"]\n', "ours.toml")
    with pytest.raises(
        ProfileError, match=r"ours\.toml: its id 'nessus' is that of a known format"
    ):
        read_mapping(path)


@pytest.mark.parametrize(("name", "identifier"), [("ours", "ours"), ("nessus", "mapping")])
def test_mapping_without_an_id_has_the_name_of_its_file_unless_a_format_has_it(
    tmp_path: Path, name: str, identifier: str
) -> None:
    path = write(tmp_path, '\ufeff[columns]\nhost = ["Machine"]\n', f"{name}.toml")
    assert read_mapping(path).id == identifier


def test_missing_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        read_profile(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ('a,"b","c"', ["a", "b", "c"]),
        ('a,"","c"', ["a", "", "c"]),
        ('a,"say ""hi""","c"', ["a", 'say "hi"', "c"]),
        ('a,"<t cols="3">","c"', ["a", '<t cols="3">', "c"]),
        ('a,"x, y",z', ["a", "x, y", "z"]),
        ("a,,b", ["a", "", "b"]),
        ('a,"never closed', ["a", "never closed"]),
    ],
)
def test_wrapped_row_is_split_leniently(text: str, cells: list[str]) -> None:
    assert split_wrapped(text) == cells


def test_document_type_declaration_is_refused(tmp_path: Path) -> None:
    text = (
        '<!DOCTYPE NessusClientData_v2 [<!ENTITY x "y">]>'
        "<NessusClientData_v2><Report/></NessusClientData_v2>"
    )
    assert "DOCTYPE" in str(inspect_file(write(tmp_path, text)).refused)


@pytest.mark.parametrize("beginning", ["\n \n", "\ufeff\n"], ids=["blanks", "mark_and_blanks"])
def test_xml_is_read_when_blanks_precede_its_declaration(tmp_path: Path, beginning: str) -> None:
    sample = Path(__file__).parent / "samples" / "14_nessus_v2.nessus"
    text = beginning + sample.read_text().lstrip()
    expected = inspect_file(sample, scan_date="2030-06-01")
    found = inspect_file(write(tmp_path, text), scan_date="2030-06-01")
    assert text[len(beginning) :].startswith("<?xml")
    assert found.as_json() == expected.as_json()


def test_byte_order_mark_precedes_the_declared_encoding_of_xml(tmp_path: Path) -> None:
    sample = Path(__file__).parent / "samples" / "14_nessus_v2.nessus"
    _, _, text = sample.read_text("utf-8").partition("?>")
    expected = inspect_file(write(tmp_path, text), scan_date="2030-06-01")
    text = f'\ufeff<?xml version="1.0" encoding="utf-16"?>{text}'
    found = inspect_file(write(tmp_path, text), scan_date="2030-06-01")
    assert found.refused is None
    assert found.as_json() == expected.as_json()


def test_deeply_nested_xml_is_refused(tmp_path: Path) -> None:
    depth = 5000
    text = "<NessusClientData_v2>" + "<a>" * depth + "</a>" * depth + "</NessusClientData_v2>"
    assert inspect_file(write(tmp_path, text)).refused is not None


def test_xml_that_breaks_off_is_refused_unless_partial(tmp_path: Path) -> None:
    sample = Path(__file__).parent / "samples" / "14_nessus_v2.nessus"
    text = sample.read_text()
    path = write(tmp_path, text[: text.index('pluginID="19506"')])
    assert "incomplete" in str(inspect_file(path).refused)
    inspection = inspect_file(path, allow_partial=True)
    assert (len(inspection.findings), inspection.resolve) == (2, "none")
