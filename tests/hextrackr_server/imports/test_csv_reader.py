"""Tests of reading CSV files as numbered rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from hextrackr_server.errors import ServiceError
from hextrackr_server.imports.csv_reader import CsvSource, inspect


def inspected(tmp_path: Path, content: bytes) -> CsvSource:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    return inspect(path, lambda _: None)


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        ("host,cve\nmünchen,1\n".encode(), False),
        ("host,cve\nmünchen,1\n".encode("utf-8-sig"), False),
        ("host,cve\r\nmünchen,1\r\n".encode("utf-16"), False),
        ("host,cve\nmünchen,1\n".encode("cp1252"), True),
    ],
    ids=["utf-8", "utf-8 with a mark", "utf-16", "windows-1252"],
)
def test_encoding_is_detected(tmp_path: Path, content: bytes, warned: bool) -> None:
    source = inspected(tmp_path, content)
    assert source.header == ("host", "cve")
    assert list(source.rows(lambda _: None)) == [(2, ["münchen", "1"])]
    assert (source.warning is not None) == warned


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiter_is_detected(tmp_path: Path, delimiter: str) -> None:
    content = f"host{delimiter}cve{delimiter}x\na{delimiter}b{delimiter}c\n".encode()
    assert inspected(tmp_path, content).header == ("host", "cve", "x")


def test_rows_are_numbered_as_in_a_spreadsheet_without_blank_ones(tmp_path: Path) -> None:
    source = inspected(tmp_path, b'h,c\na,"two\nlines"\n\n,,\nb,2')
    assert list(source.rows(lambda _: None)) == [(2, ["a", "two\nlines"]), (5, ["b", "2"])]
    assert source.row_count == 2


def test_blank_lines_before_the_header_are_ignored(tmp_path: Path) -> None:
    source = inspected(tmp_path, b"\n\nh;c\na;b\n")
    assert (source.header, source.row_count) == (("h", "c"), 1)
    assert list(source.rows(lambda _: None)) == [(4, ["a", "b"])]


@pytest.mark.parametrize("content", [b"", b"\n\n", b",,,\n", b"\xef\xbb\xbf"])
def test_file_without_a_header_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ServiceError, match="empty"):
        inspected(tmp_path, content)


def test_header_alone_counts_no_rows(tmp_path: Path) -> None:
    assert inspected(tmp_path, b"host,cve\n").row_count == 0


def test_unclosed_quote_rejects_one_row_only(tmp_path: Path) -> None:
    lines = "".join(f"host-{number},CVE-2024-1000\n" for number in range(20_000))
    source = inspected(tmp_path, f'h,c\nx,"open\n{lines}'.encode())
    rows = list(source.rows(lambda _: None))
    assert len(rows) == source.row_count > 10_000
    assert isinstance(rows[0][1], str)
    assert "not readable as CSV" in rows[0][1]


def test_row_length_is_bounded_when_quotes_span_many_lines(tmp_path: Path) -> None:
    content = "h,c\n" + '"ab\n",' * 500_000 + 'x"\n"a\nb",c\n'
    rows = [cells for _, cells in inspected(tmp_path, content.encode()).rows(lambda _: None)]
    assert max(len(cells) for cells in rows if isinstance(cells, list)) < 300_000
    assert any("longer than" in cells for cells in rows if isinstance(cells, str))
    assert rows[-1] == ["a\nb", "c"]


def test_file_without_line_ends_is_read_in_pieces(tmp_path: Path) -> None:
    source = inspected(tmp_path, b"h,c\n" + b"x" * 3_000_000)
    assert all(isinstance(cells, str) for _, cells in source.rows(lambda _: None))


def test_binary_file_is_read_without_an_error(tmp_path: Path) -> None:
    assert inspected(tmp_path, b"PK\x03\x04\x00\xff\xfe" * 100).row_count == 0


def test_file_with_too_many_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="may have 1000 columns, this one has"):
        inspected(tmp_path, b"a," * 2000)


@pytest.mark.parametrize("filling", ["a,b\n", "\n"])
def test_reading_stops_when_a_checkpoint_raises(tmp_path: Path, filling: str) -> None:
    path = tmp_path / "file.csv"
    path.write_text("h,c\n" + filling * 9000)

    def give_up(lines: int) -> None:
        raise RuntimeError(f"enough after {lines}")

    with pytest.raises(RuntimeError, match="enough after 5000"):
        inspect(path, give_up)
