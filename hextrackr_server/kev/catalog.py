"""Parses and validates CISA's catalog of known exploited vulnerabilities (KEV), as JSON or CSV.

An unusable entry does not cost the others: the catalog reports it, and the stored state of its CVE
stays. `fetcher` obtains the bytes of the catalog, `store` saves its entries.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from hextrackr_server.errors import HexTrackrError
from hextrackr_server.text import clean, clean_text, iso_date

MAXIMUM_ENTRIES = 100_000
#: Characters of a line of a CSV catalog, as in a field of `csv`, whose limit imports raise for the
#: whole process. Longer lines have very many cells, or none.
LONGEST_LINE = 1 << 17
#: A catalog with a larger share of unusable entries is refused: its format has changed.
MAXIMUM_UNUSABLE = 0.5
_CSV_COLUMNS: Final = ("cveID", "dateAdded", "dueDate")
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([^"\r\n])"?[ \t]*\r?\n', re.IGNORECASE)
# No decoder returns this character.
_END: Final = "\ud800"
_CVE = re.compile(r"CVE-\d{4}-\d{4,19}")
# The next token that structures a JSON text, behind values and strings, also one without an end.
_TOKEN: Final = re.compile(rb'(?:[^"\[\]{},]++|"(?:[^"\\]++|\\.)*+"?)*+([\[\]{},])', re.DOTALL)
# Properties of a feed besides its entries.
_MORE_PROPERTIES: Final = 1000


class KevError(HexTrackrError):
    """An error in fetching or validating the catalog, with a text that clients may read."""


class KevEntry(NamedTuple):
    """One known exploited CVE with normalized values."""

    cve_id: str
    date_added: str
    vulnerability_name: str
    vendor_project: str
    product: str
    short_description: str
    required_action: str
    due_date: str
    known_ransomware_use: int
    notes: str
    cwes: str


class EntryProblem(NamedTuple):
    """An entry that was not taken as it is; entries are numbered from 1."""

    number: int
    cve_id: str
    message: str


class Catalog(NamedTuple):
    """A catalog with its usable entries by CVE ID.

    `unsettled` are the CVEs of unusable or contradictory entries: their stored state stays. An
    unsettled entry of `entries` applies only if nothing is stored.
    """

    version: str
    entries: dict[str, KevEntry]
    unsettled: frozenset[str] = frozenset()
    problems: tuple[EntryProblem, ...] = ()

    @property
    def names_all(self) -> bool:
        """Return whether the CVE of each entry is readable.

        Otherwise an entry that seems to be missing may be the one whose CVE is not readable.
        """
        return all(problem.cve_id for problem in self.problems)


class _Item(msgspec.Struct, rename="camel"):
    cve_id: str = msgspec.field(name="cveID")
    vendor_project: str
    product: str
    vulnerability_name: str
    date_added: str
    short_description: str
    required_action: str
    due_date: str
    known_ransomware_campaign_use: str = "Unknown"
    notes: str | None = None
    cwes: list[str] | None = None


class _Feed(msgspec.Struct, rename="camel"):
    catalog_version: str
    count: int
    vulnerabilities: list[msgspec.Raw]


class _Named(msgspec.Struct):
    cve_id: Any = msgspec.field(name="cveID", default=None)


_feed_decoder = msgspec.json.Decoder(_Feed)
_item_decoder = msgspec.json.Decoder(_Item)
_name_decoder = msgspec.json.Decoder(_Named)


class _EntryError(Exception):
    """An unusable entry; `cve_id` is its CVE, if that is readable."""

    def __init__(self, message: str, cve_id: str = "") -> None:
        super().__init__(message)
        self.cve_id = cve_id


def parse_catalog(body: bytes) -> Catalog:
    """Return the catalog of a JSON feed or a CSV file.

    Raises KevError if the file is not a catalog, or if too many of its entries are unusable.
    """
    body = _as_utf8(body)
    if body.lstrip()[:1] in (b"{", b"["):
        version, items = _read_feed(body)
    else:
        version, items = _read_csv(body)
    if not 1 <= len(items) <= MAXIMUM_ENTRIES:
        raise _wrong_number(len(items))
    return _collect(version, items)


def _wrong_number(number: int | str) -> KevError:
    return KevError(f"a catalog must have 1 to {MAXIMUM_ENTRIES} entries, got {number}")


def _as_utf8(body: bytes) -> bytes:
    """Return a catalog without a byte-order mark, in UTF-8 if the mark is that of UTF-16."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace").encode()
    return body.removeprefix(codecs.BOM_UTF8)


def _read_feed(body: bytes) -> tuple[str, list[msgspec.Raw | dict[str, str]]]:
    _check_size(body)
    try:
        feed = _feed_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise KevError(f"the catalog does not have CISA's format: {error}") from error
    if feed.count != len(feed.vulnerabilities):
        message = f"the catalog must have as many entries as its count, {feed.count}"
        raise KevError(f"{message}, got {len(feed.vulnerabilities)}")
    return clean(feed.catalog_version, 64), list(feed.vulnerabilities)


def _check_size(body: bytes) -> None:
    """Refuse a feed of too many entries before each becomes an object: millions take a gigabyte."""
    limit = MAXIMUM_ENTRIES + _MORE_PROPERTIES
    if body.count(b",") <= limit:
        return
    depth = values = 0
    for match in _TOKEN.finditer(body):
        token = match[1]
        if token == b",":
            # An entry is a value of a list in the feed.
            values += depth <= 2
            if values > limit:
                raise _wrong_number("more")
        elif token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1


def _read_csv(body: bytes) -> tuple[str, list[msgspec.Raw | dict[str, str]]]:
    """Return the rows of CISA's CSV file, whose version is the newest day of its entries.

    Bytes that are not UTF-8 arrive as lone surrogates, which make their entry unusable.
    """
    text = body.decode("utf-8", "surrogateescape")
    names, rows = _split_csv(text)
    if missing := [name for name in _CSV_COLUMNS if name.lower() not in names]:
        raise KevError(
            "the catalog does not have CISA's format: a CSV catalog must have the columns "
            f"{', '.join(_CSV_COLUMNS)}; missing: {', '.join(missing)}"
        )
    items: list[msgspec.Raw | dict[str, str]] = [
        dict(zip(names, row, strict=False)) for row in rows
    ]
    column = names.index("dateadded")
    days = (iso_date(row[column]) for row in rows if len(row) > column)
    newest = max((day for day in days if day), default="")
    return f"CSV {newest}".strip(), items


def _split_csv(text: str) -> tuple[list[str], list[list[str]]]:
    """Return the column names in lower case, and the rows that are not blank.

    Raises KevError for a file that breaks off: the entries behind that place would count as
    removed.
    """
    lines = io.StringIO(text, newline="")
    delimiter = ","
    if match := _SEPARATOR_LINE.match(text):
        delimiter = match[1]
        lines.seek(match.end())
    elif text.partition("\n")[0].count(";") >= len(_CSV_COLUMNS) - 1:
        delimiter = ";"
    # The line behind the last one becomes a row of one cell, unless a quote is open.
    # A quote behind a delimiter and blanks opens a cell, too.
    reader = csv.reader(
        chain(_limited(lines), ("\n", _END)),
        delimiter=delimiter,
        skipinitialspace=delimiter != " ",
    )
    rows: list[list[str]] = []
    try:
        for row in reader:
            if any(map(str.strip, row)):
                rows.append(row)
                # The header and the line behind the last one are not entries.
                if len(rows) > MAXIMUM_ENTRIES + 2:
                    raise _wrong_number("more")
    except csv.Error as error:
        raise KevError(f"the catalog does not have CISA's format: {error}") from error
    if rows.pop() != [_END]:
        raise KevError("the catalog is incomplete: a quote is not closed before its end")
    if not rows:
        return [], []
    names = [name.strip().lower() for name in rows.pop(0)]
    is_short = [len(row) < len(names) for row in rows]
    if rows and is_short[-1] and (text[-1:] not in "\r\n" or not any(is_short[:-1])):
        raise KevError(
            f"the catalog is incomplete: its last row has {len(rows[-1])} of {len(names)} cells"
        )
    return names, rows


def _limited(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE:
            raise KevError(
                f"a line of a CSV catalog must have at most {LONGEST_LINE} characters, line "
                f"{number} has {len(line)}"
            )
        yield line


def _collect(version: str, items: Iterable[msgspec.Raw | dict[str, str]]) -> Catalog:
    entries: dict[str, KevEntry] = {}
    unsettled: set[str] = set()
    problems: list[EntryProblem] = []
    number = unusable = 0
    for number, item in enumerate(items, 1):
        try:
            entry = _entry(_item_of(item))
        except _EntryError as error:
            problems.append(EntryProblem(number, error.cve_id, str(error)))
            unsettled.add(error.cve_id)
            unusable += 1
            continue
        former = entries.setdefault(entry.cve_id, entry)
        if former is not entry:
            same = former == entry
            message = "the CVE is in the catalog twice" + ("" if same else ", with other values")
            problems.append(EntryProblem(number, entry.cve_id, message))
            if not same:
                unsettled.add(entry.cve_id)
    if not entries or unusable > MAXIMUM_UNUSABLE * number:
        first = problems[0]
        raise KevError(
            f"{unusable} of {number} entries are unusable, the first is entry {first.number}: "
            f"{first.message}"
        )
    return Catalog(version, entries, frozenset(unsettled) - {""}, tuple(problems))


def _item_of(item: msgspec.Raw | dict[str, str]) -> _Item:
    if isinstance(item, dict):
        return _item_of_row(item)
    try:
        return _item_decoder.decode(item)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _EntryError(str(error), _readable_cve(item)) from None


def _item_of_row(row: dict[str, str]) -> _Item:
    cve = row.get("cveid", "")
    if not all(map(_is_encodable, row.values())):
        message = "the entry has bytes that are not UTF-8"
        raise _EntryError(message, cve if _CVE.fullmatch(cve) else "")
    return _Item(
        cve_id=cve,
        vendor_project=row.get("vendorproject", ""),
        product=row.get("product", ""),
        vulnerability_name=row.get("vulnerabilityname", ""),
        date_added=row.get("dateadded", ""),
        short_description=row.get("shortdescription", ""),
        required_action=row.get("requiredaction", ""),
        due_date=row.get("duedate", ""),
        known_ransomware_campaign_use=row.get("knownransomwarecampaignuse", ""),
        notes=row.get("notes", ""),
        cwes=[each for each in row.get("cwes", "").split(",") if each.strip()],
    )


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _readable_cve(item: msgspec.Raw) -> str:
    try:
        name = _name_decoder.decode(item).cve_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    cve = name.strip().upper() if isinstance(name, str) else ""
    return cve if _CVE.fullmatch(cve) else ""


def _entry(item: _Item) -> KevEntry:
    cve = item.cve_id.strip().upper()
    if not _CVE.fullmatch(cve):
        raise _EntryError(
            f"{clean(item.cve_id, 40)!r} is not a CVE ID (expected e.g. CVE-2024-1000)"
        )
    return KevEntry(
        cve_id=cve,
        date_added=_date(cve, "dateAdded", item.date_added),
        vulnerability_name=clean(item.vulnerability_name.strip(), 1000),
        vendor_project=clean(item.vendor_project.strip(), 255),
        product=clean(item.product.strip(), 255),
        short_description=clean_text(item.short_description.strip()),
        required_action=clean_text(item.required_action.strip()),
        due_date=_date(cve, "dueDate", item.due_date),
        known_ransomware_use=int(item.known_ransomware_campaign_use.strip().lower() == "known"),
        notes=clean_text((item.notes or "").strip()),
        cwes=",".join(clean(each.strip(), 32) for each in (item.cwes or [])[:50]),
    )


def _date(cve: str, name: str, written: str) -> str:
    day = iso_date(written.strip())
    if day is None:
        message = f"{name} must be a date such as 2025-09-30, got {clean(written, 40)!r}"
        raise _EntryError(message, cve)
    return day
