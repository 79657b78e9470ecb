"""Tests of parsing and fetching the KEV catalog."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.kev import catalog as catalog_module
from hextrackr_server.kev.catalog import KevError, parse_catalog
from hextrackr_server.kev.fetcher import ATTEMPTS, KevFetcher, read_file
from tests.hextrackr_server.kev_support import (
    HOSTS,
    Source,
    dripping_source,
    feed,
    item,
    many,
    running_source,
)

SAMPLES = Path(__file__).parents[1] / "imports" / "formats" / "samples"
CSV_SAMPLE = SAMPLES / "16_cisa_kev.csv"


def test_catalog_is_parsed_with_all_properties() -> None:
    given = item(" cve-2024-1000 ", knownRansomwareCampaignUse="Known", cwes=["CWE-1", "CWE-2"])
    catalog = parse_catalog(feed(given, item("CVE-2024-2000", forensicTriage="Yes")))
    assert catalog.version == "2025.09.30"
    entry = catalog.entries["CVE-2024-1000"]
    assert (entry.known_ransomware_use, entry.cwes) == (1, "CWE-1,CWE-2")
    assert entry.short_description == "An overflow."
    assert (entry.date_added, entry.due_date) == ("2025-01-02", "2025-01-23")


def test_catalog_is_parsed_without_optional_properties() -> None:
    short = item()
    for name in ("knownRansomwareCampaignUse", "notes", "cwes"):
        del short[name]
    entry = parse_catalog(feed(short)).entries["CVE-2024-1000"]
    assert (entry.known_ransomware_use, entry.notes, entry.cwes) == (0, "", "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "CISA's format"),
        (b"<html>", "CISA's format"),
        (b"[]", "CISA's format"),
        (b"\xff\xfe", "CISA's format"),
        (b'{"vulnerabilities": []}', "CISA's format"),
        (feed(), "0 entries"),
        (feed(item(), count=2), "as many entries as its count, 2, got 1"),
        (feed(item("CVE-1-1")), "1 of 1 entries are unusable.*'CVE-1-1' is not a CVE ID"),
        (feed(item(), *(item("<script>") for _ in range(2))), "2 of 3 entries are unusable"),
        (b"a,b\n1,2\n", "must have the columns cveID, dateAdded, dueDate"),
        (b"cveID,dateAdded,dueDate\n", "0 entries"),
    ],
)
def test_invalid_catalog_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(KevError, match=reason):
        parse_catalog(body)


@pytest.mark.parametrize(
    "rubbish",
    [
        b'{"catalogVersion": "", "count": 1, "vulnerabilities": [' + b"0," * 60 + b"0]}",
        b'{"x": [' + b"{}," * 60 + b"{}]}",
        b"cveID,dateAdded,dueDate\n" + b"a\n" * 60,
    ],
    ids=["entries", "other values", "rows"],
)
def test_catalog_of_too_many_entries_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, rubbish: bytes
) -> None:
    monkeypatch.setattr(catalog_module, "MAXIMUM_ENTRIES", 20)
    monkeypatch.setattr(catalog_module, "_MORE_PROPERTIES", 10)
    with pytest.raises(KevError, match="must have 1 to 20 entries, got more"):
        parse_catalog(rubbish)


def test_commas_within_entries_are_not_counted_as_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    body = feed(*(item(each["cveID"], notes='a, "b", \\" {[,') for each in many(20)))
    monkeypatch.setattr(catalog_module, "MAXIMUM_ENTRIES", 20)
    monkeypatch.setattr(catalog_module, "_MORE_PROPERTIES", 5)
    assert len(parse_catalog(body).entries) == 20
    with pytest.raises(KevError, match="must have 1 to 20 entries, got 21"):
        parse_catalog(feed(*many(21)))
    with pytest.raises(KevError, match="must have 1 to 20 entries, got more"):
        parse_catalog(feed(*many(30)))


def test_csv_catalog_with_a_very_long_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "LONGEST_LINE", 100)
    text = b"cveID,dateAdded,dueDate\nCVE-2024-1000,2025-01-02,2025-01-23\n"
    assert len(parse_catalog(text).entries) == 1
    with pytest.raises(KevError, match="at most 100 characters, line 3 has 101"):
        parse_catalog(text + b"," * 101)


@pytest.mark.parametrize("limit", [catalog_module.LONGEST_LINE, 1 << 20], ids=["same", "raised"])
def test_long_cell_is_refused_alike_with_any_limit_of_the_csv_module(limit: int) -> None:
    former = csv.field_size_limit(limit)
    try:
        with pytest.raises(KevError, match="a line of a CSV catalog must have at most"):
            parse_catalog(b"cveID,dateAdded,dueDate\n" + b"x" * 200_000)
    finally:
        csv.field_size_limit(former)


@pytest.mark.parametrize(
    ("entry", "cve", "message"),
    [
        (item("CVE-1-1"), "", "'CVE-1-1' is not a CVE ID"),
        (item("CVE-2024-5", dueDate="soon"), "", "not a CVE ID"),
        (item("CVE-2024-5000", dueDate="soon"), "CVE-2024-5000", "dueDate must be a date"),
        (item("CVE-2024-5000", product=5), "CVE-2024-5000", "Expected `str`, got `int`"),
        ({"cveID": "CVE-2024-5000"}, "CVE-2024-5000", "missing required field"),
        ({"cveID": 5}, "", "Expected `str`, got `int`"),
    ],
)
def test_unusable_entry_is_reported_and_the_others_are_taken(
    entry: dict[str, Any], cve: str, message: str
) -> None:
    catalog = parse_catalog(feed(*many(9), entry))
    assert len(catalog.entries) == 9
    (problem,) = catalog.problems
    assert (problem.number, problem.cve_id) == (10, cve)
    assert message in problem.message
    assert catalog.unsettled == ({cve} if cve else set())


def test_repeated_entry_is_taken_once_and_reported() -> None:
    catalog = parse_catalog(feed(*many(9), item("CVE-2024-1000")))
    assert (len(catalog.entries), catalog.unsettled) == (9, frozenset())
    assert [problem.message for problem in catalog.problems] == ["the CVE is in the catalog twice"]


def test_contradictory_entries_leave_their_cve_unsettled() -> None:
    catalog = parse_catalog(feed(*many(9), item("CVE-2024-1000", product="Switch")))
    assert catalog.unsettled == {"CVE-2024-1000"}
    assert catalog.entries["CVE-2024-1000"].product == "Router"


def test_byte_order_mark_is_skipped() -> None:
    assert len(parse_catalog(b"\xef\xbb\xbf" + feed(item())).entries) == 1


def test_csv_catalog_is_parsed_like_the_feed() -> None:
    catalog = parse_catalog(CSV_SAMPLE.read_bytes())
    assert catalog.version == "CSV 2030-05-03"
    assert set(catalog.entries) == {"CVE-2030-16001", "CVE-2030-16002"}
    entry = catalog.entries["CVE-2030-16001"]
    assert (entry.known_ransomware_use, entry.cwes) == (1, "CWE-79,CWE-80")
    assert [problem.cve_id for problem in catalog.problems] == ["CVE-2030-16003"]


CSV = CSV_SAMPLE.read_text("utf-8")


@pytest.mark.parametrize(
    "body",
    [
        CSV.encode("utf-16"),
        ("sep=,\r\n" + CSV).encode(),
        (CSV + "\n,,,,,,,,,,\n").encode(),
        CSV.replace("cveID", " CVEID ", 1).encode(),
        CSV.replace(',"', ',  "').encode(),
    ],
    ids=["utf16", "separator_line", "blank_rows", "spelling_of_names", "quotes_behind_blanks"],
)
def test_csv_catalog_of_a_spreadsheet_is_parsed(body: bytes) -> None:
    assert parse_catalog(body) == parse_catalog(CSV.encode())


def test_csv_catalog_may_have_semicolons() -> None:
    body = b"cveID;dateAdded;dueDate\nCVE-2030-16001;2030-05-01;2030-05-22\n"
    catalog = parse_catalog(body)
    assert [each.due_date for each in catalog.entries.values()] == ["2030-05-22"]


def csv_catalog(*products: bytes) -> bytes:
    lines = [b"cveID,product,dateAdded,dueDate,notes"]
    for number, product in enumerate(products):
        lines.append(b"CVE-2030-%d,%s,2030-05-01,2030-05-22,x" % (16001 + number, product))
    return b"\n".join(lines) + b"\n"


def test_invalid_byte_costs_one_entry_of_a_csv_catalog() -> None:
    catalog = parse_catalog(csv_catalog(b"A", b"\xff", b"C"))
    assert (set(catalog.entries), catalog.unsettled) == (
        {"CVE-2030-16001", "CVE-2030-16003"},
        {"CVE-2030-16002"},
    )


@pytest.mark.parametrize("quoted", [b"B", b'"B, or\nanother"'], ids=["plain", "quoted"])
def test_csv_catalog_is_refused_when_cut_within_a_row(quoted: bytes) -> None:
    body = csv_catalog(b"A", quoted)
    start = body.index(b"CVE-2030-16002")
    for end in range(start + 1, len(body) - len(",x\n")):
        with pytest.raises(KevError, match="incomplete"):
            parse_catalog(body[:end])


def test_csv_catalog_without_trailing_empty_cells_is_parsed() -> None:
    body = csv_catalog(b"A", b"B").replace(b",x\n", b"\n")
    assert len(parse_catalog(body).entries) == 2


# -- fetching


@pytest.fixture
def source() -> Iterator[Source]:
    with running_source() as running:
        yield running


def fetcher(source: Source, waits: list[float] | None = None, **options: Any) -> KevFetcher:
    noted = waits if waits is not None else []
    return KevFetcher(source.url, HOSTS, wait=noted.append, **options)


def test_fetch_returns_the_body_and_its_validators(source: Source) -> None:
    source.answer(b"body", etag='"v1"', last_modified="Tue, 30 Sep 2025 00:00:00 GMT")
    assert fetcher(source).fetch() == (b"body", '"v1"', "Tue, 30 Sep 2025 00:00:00 GMT")


def test_fetch_returns_no_body_when_the_catalog_is_unchanged(source: Source) -> None:
    source.answer(status=304)
    assert fetcher(source).fetch('"v1"', "yesterday") == (None, '"v1"', "yesterday")
    assert source.requests[0]["if-none-match"] == '"v1"'
    assert source.requests[0]["if-modified-since"] == "yesterday"


def test_fetch_retries_with_growing_waits(source: Source) -> None:
    waits: list[float] = []
    source.answer(status=503)
    source.answer(b"cut", length=10)
    source.answer(b"body")
    assert fetcher(source, waits).fetch().body == b"body"
    assert waits == [1.0, 2.0]


def test_fetch_fails_after_three_attempts(source: Source) -> None:
    source.answer(status=500)
    with pytest.raises(KevError, match="answered with status 500"):
        fetcher(source).fetch()
    assert len(source.requests) == ATTEMPTS


def test_fetch_does_not_retry_a_refusal(source: Source) -> None:
    source.answer(status=403)
    with pytest.raises(KevError, match="answered with status 403"):
        fetcher(source).fetch()
    assert len(source.requests) == 1


def test_fetch_fails_when_the_body_is_too_large(source: Source) -> None:
    source.answer(b"x" * 1000)
    with pytest.raises(KevError, match="larger than the allowed 500 bytes"):
        fetcher(source, maximum=500).fetch()


def test_fetch_times_out_when_the_source_is_silent(source: Source) -> None:
    waits: list[float] = []
    source.answers.append(lambda handler: handler.rfile.read(1) and None)
    with pytest.raises(KevError, match="did not arrive within"):
        fetcher(source, waits, timeout=0.03).fetch()
    assert len(waits) == ATTEMPTS - 1


@pytest.mark.parametrize(
    ("scheme", "first"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nX: "),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("https", b"\x16\x03\x03\x40\x00"),
    ],
    ids=["header", "body", "tls"],
)
def test_fetch_ends_at_its_deadline_when_the_source_sends_byte_by_byte(
    scheme: str, first: bytes
) -> None:
    with dripping_source(first) as port:
        url = f"{scheme}://127.0.0.1:{port}/feed.json"
        source = KevFetcher(url, HOSTS, timeout=0.2, wait=lambda _: None)
        with pytest.raises(KevError, match=r"did not arrive within 0\.2 seconds \(3 attempts\)"):
            source.fetch()


def test_fetch_ends_when_the_fetcher_closes() -> None:
    with dripping_source(b"HTTP/1.1 200 OK\r\nX: ") as port:
        source = KevFetcher(f"http://127.0.0.1:{port}/feed.json", HOSTS, timeout=600)
        connected = threading.Event()
        add = source._watch.add
        source._watch.add = lambda connection: (add(connection), connected.set())  # type: ignore[func-returns-value,assignment,method-assign]
        with ThreadPoolExecutor(1) as pool:
            fetching = pool.submit(source.fetch)
            assert connected.wait(60)
            source.close()
            with pytest.raises(KevError, match="the server is stopping"):
                fetching.result(60)


def test_redirect_to_another_host_is_refused(source: Source) -> None:
    source.answer(status=302, location="http://169.254.169.254/latest/")
    with pytest.raises(KevError, match=r"got '169\.254\.169\.254'"):
        fetcher(source).fetch()


@pytest.mark.parametrize(
    "url", ["https://evil.example/feed", "file:///etc/passwd", "https://127.0.0.1@evil.example/"]
)
def test_url_of_another_host_is_refused(url: str) -> None:
    with pytest.raises(KevError, match="the host of the catalog must be one of"):
        KevFetcher(url, HOSTS).fetch()


def test_remote_host_requires_https() -> None:
    with pytest.raises(KevError, match="must begin with https:"):
        KevFetcher("http://feeds.example/x", ("feeds.example",)).fetch()


def test_file_is_refused_when_it_is_missing_or_too_large(tmp_path: Path) -> None:
    path = tmp_path / "kev.json"
    with pytest.raises(KevError, match="No such file"):
        read_file(path)
    path.write_bytes(b"x" * 100)
    assert read_file(path) == b"x" * 100
    with pytest.raises(KevError, match="larger than the allowed 99 bytes"):
        read_file(path, maximum=99)
