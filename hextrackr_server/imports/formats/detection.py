"""Finds the format of a file, or explains why it has none.

The content decides, not the name: XML by its root element, CSV by the signature of its header.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hextrackr_server.imports.formats.csv_header import (
    DELIMITERS,
    Header,
    find_header,
    find_separator_line,
    read_beginning,
    read_names,
)
from hextrackr_server.imports.formats.csv_table import (
    MAXIMUM_COLUMNS,
    CsvTable,
    FileRefusedError,
)
from hextrackr_server.imports.formats.profile import Profile, load_profiles, normalize
from hextrackr_server.imports.formats.text_source import Checkpoint, detect_encoding

if TYPE_CHECKING:
    from hextrackr_server.imports.formats.xml_table import XmlTable

_PROBE: Final = 4096
_JSON: Final = re.compile(r"\{|\[\s*[\[\]{\"0-9]|\[\s*\n|\[\s*$")
_CONTROLS: Final = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f]")
# The share of control characters above which a file that has no known columns is not a text.
_MOST_CONTROLS: Final = 0.01
_SHOWN_COLUMNS: Final = 30
_ROOTS: Final = {"get_reports_response": "report"}


class UnknownFormatError(FileRefusedError):
    """A file that satisfies no profile."""


def open_table(
    path: Path,
    *,
    mapping: Profile | None = None,
    allow_partial: bool = False,
    checkpoint: Checkpoint | None = None,
) -> CsvTable | XmlTable:
    """Return the table of a file. Raises FileRefusedError with the reason and the remedy.

    `mapping` is a profile of the user, which is taken instead of the known ones.
    """
    kind = sniff(path)
    if kind == "XML":
        return _open_xml(path, allow_partial, checkpoint)
    if kind:
        raise UnknownFormatError(_not_csv(kind))
    header = _read_mapped_header(path, mapping) if mapping else _read_header(path)
    if len(header.names) > MAXIMUM_COLUMNS:
        raise FileRefusedError(
            f"the file has {len(header.names)} columns, at most {MAXIMUM_COLUMNS} are read: "
            "remove columns that the import does not need"
        )
    if header.profile.refuse:
        raise FileRefusedError(header.profile.refuse, profile=header.profile.id)
    return CsvTable(path, header, allow_partial, checkpoint)


def sniff(path: Path) -> str:
    """Return "XML", "HTML", "JSON", "a spreadsheet" and the like, or an empty string for text."""
    with path.open("rb") as file:
        beginning = file.read(_PROBE)
    if beginning.startswith(b"PK\x03\x04"):
        return "a spreadsheet" if _is_workbook(path) else "a ZIP archive"
    for magic, name in (
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a spreadsheet (.xls)"),
        (b"%PDF-", "a PDF document"),
        (b"{\\rtf", "an RTF document"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!\x1a\x07", "a RAR archive"),
        (b"\xfd7zXZ\0", "an xz archive"),
        (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
        (b"SQLite format 3\0", "a SQLite database"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"\xff\xd8\xff", "an image"),
    ):
        if beginning.startswith(magic):
            return name
    if re.match(rb"BZh[1-9]1AY&SY", beginning):
        return "a bzip2 archive"
    if beginning[257:262] == b"ustar":
        return "a tar archive"
    encoding, skip = detect_encoding(path)
    text = beginning[skip:].decode(encoding, "replace").lstrip()
    lower = text[:200].lower()
    if lower.startswith(("<!doctype html", "<html")):
        return "HTML"
    if lower.startswith("<"):
        return "XML"
    return "JSON" if _JSON.match(lower) else ""


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False
    return any(name.startswith(("xl/", "content.xml")) for name in names)


def _not_csv(kind: str) -> str:
    remedy = {
        "JSON": "export CSV or XML instead",
        "HTML": "this is a report or an error page: export CSV or XML instead",
        "a spreadsheet": "save the sheet as CSV",
        "a spreadsheet (.xls)": "save the sheet as CSV",
    }.get(kind, "export CSV or XML instead")
    if kind.endswith(" archive"):
        remedy = "unpack it and import the file inside"
    return f"this is {kind}, not a CSV or XML export: {remedy}"


def _open_xml(path: Path, allow_partial: bool, checkpoint: Checkpoint | None) -> XmlTable:
    # Imported here: lxml takes 4 MB of memory, which most processes never use.
    from hextrackr_server.imports.formats.xml_table import XmlTable, find_root  # noqa: PLC0415

    profile = _profile_of_root(find_root(path))
    return XmlTable(path, profile, allow_partial, checkpoint)


def _profile_of_root(root: str) -> Profile:
    roots = {profile.root: profile for profile in load_profiles().values() if profile.root}
    if root.lower() == "html":
        raise UnknownFormatError(_not_csv("HTML"))
    profile = roots.get(_ROOTS.get(root, root))
    if profile is None:
        raise UnknownFormatError(
            f"this is XML with the root element {root[:64]!r}: export CSV, or XML with one of "
            "these root elements: "
            + ", ".join(f"{name} ({found.title})" for name, found in roots.items())
        )
    return profile


def _read_header(path: Path) -> Header:
    profiles = [profile for profile in load_profiles().values() if profile.signatures]
    header = find_header(path, profiles)
    if header is None:
        raise _unknown_format(path, profiles)
    return header


def _read_mapped_header(path: Path, mapping: Profile) -> Header:
    """Return the first row that has the most columns of a user's mapping."""
    named = find_separator_line(path)
    wanted = {name for names in mapping.normalized.values() for name in names}
    best: tuple[int, Header] | None = None
    for delimiter in (named,) if named else DELIMITERS:
        preamble: list[tuple[str, ...]] = []
        for row in read_beginning(path, delimiter):
            names = read_names(row.cells)
            count = len(wanted & {normalize(name) for name in names})
            if count and (best is None or count > best[0]):
                found = Header(mapping, names, row.number, delimiter, preamble=tuple(preamble))
                best = count, found
            preamble.append(names)
    if best is None:
        raise UnknownFormatError(
            f"no row of the file has a column that the mapping {mapping.id!r} names"
        )
    return best[1]


def _unknown_format(path: Path, profiles: Sequence[Profile]) -> UnknownFormatError:
    """Return why a file satisfies no profile: its header, the nearest profile and what it lacks."""
    if _is_binary(path):
        return UnknownFormatError(_not_csv("binary data"))
    rows = max(
        (read_beginning(path, delimiter) for delimiter in DELIMITERS),
        key=lambda found: max((len(row.cells) for row in found), default=0),
    )
    if not any(cell.strip().strip("\ufeff") for row in rows for cell in row.cells):
        return UnknownFormatError(
            "the file is empty: a CSV file must begin with a row of column names"
        )
    header = max(rows, key=lambda row: len(row.cells))
    return explain_unknown(header.cells, f"no known format has these columns (row {header.number})")


def _is_binary(path: Path) -> bool:
    """Return whether a file begins with characters that no text has."""
    encoding, skip = detect_encoding(path)
    with path.open("rb") as file:
        text = file.read(_PROBE)[skip:].decode(encoding, "replace")
    return len(_CONTROLS.findall(text)) > len(text) * _MOST_CONTROLS


def explain_unknown(header: Sequence[str], beginning: str) -> UnknownFormatError:
    """Return the error for columns of no known format, with the nearest one and what it lacks."""
    known = frozenset(normalize(name) for name in header if name.strip())
    nearest = min(
        (profile for profile in load_profiles().values() if profile.signatures),
        key=lambda profile: (
            profile.refuse is not None,
            len(profile.missing(known)),
            -_overlap(profile, known),
        ),
    )
    missing = nearest.missing(known)
    shown = ", ".join(repr(name.strip()[:64]) for name in header[:_SHOWN_COLUMNS])
    return UnknownFormatError(
        f"{beginning}: {shown}. The nearest format is {nearest.title} ({nearest.id}), which lacks: "
        f"{'; '.join(missing)}. Write a mapping for other CSV files (--mapping FILE.toml, "
        'or "Mapping of the columns" on the page)',
        [("header", each) for each in missing],
    )


def find_profile(header: Sequence[str]) -> Profile | None:
    """Return the profile that a header satisfies, or None."""
    known = frozenset(normalize(name) for name in header if name.strip())
    for profile in load_profiles().values():
        if profile.fits(known):
            return profile
    return None


def known_columns() -> frozenset[str]:
    """Return the normalized names of all columns that a format of CSV files has."""
    names: set[str] = set()
    for profile in load_profiles().values():
        if profile.signatures:
            names.update(*profile.normalized.values())
            for signature in profile.signatures:
                names |= {*signature.all_of, *signature.any_of, *signature.none_of}
    return frozenset(names)


def _overlap(profile: Profile, known: frozenset[str]) -> int:
    texts = {name for names in profile.normalized.values() for name in names}
    return len(texts & known)
