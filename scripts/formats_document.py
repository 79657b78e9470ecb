"""Write docs/formats.md from the format profiles and the sample exports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hextrackr_server.cli.inspect import describe
from hextrackr_server.imports.formats.inspection import inspect_file
from hextrackr_server.imports.formats.profile import Profile, load_profiles

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "formats.md"
SAMPLES = ROOT / "tests" / "hextrackr_server" / "imports" / "formats" / "samples"
SCAN_DATE = "2030-06-01"

INTRODUCTION = """\
# Scanner formats

This page lists the scanner exports that the hub imports: how it recognizes each format, and how it
reads its columns. `hextrackr-server formats` lists the formats, `hextrackr-server inspect FILE`
shows how a file is read: the detected format, the column of each field, the warnings and the first
findings. Neither needs a database. This page is generated from the format profiles by
`scripts/formats_document.py`.

## Rules for all formats

- The header selects the format. Case, spaces, dots, underscores, hyphens and `?` in column names
  do not matter. The reader skips rows above the header and a line such as `sep=;`, and splits rows
  that consist of one quoted cell. It reads UTF-8, UTF-16 and Windows-1252, with `,`, `;`, tab or
  `|` as the separator. A quote may stand behind a separator and blanks.
- A header in the middle of a file is skipped. The rows below it are read in the order of its
  columns. If it has columns that the first header lacks, the rows below it are rejected: import
  them as a file of their own.
- Days, CVSS scores with a version, VPR, EPSS and the operating system are also read from columns
  with usual names, which the table of HexTrackr's own column names lists, in every CSV format.
- Marks for spreadsheets are removed: the values of `="00123"`, `'00123` and
  `=HYPERLINK("https://example.test/","00123")` are `00123`.
- The address identifies a host; without an address, the full name does. The CVE identifies a
  finding of a host; without a CVE, the ID or the name of the plugin does.
- An invalid value causes a warning with its column, row and text, and is left out. The importer
  does not guess: it does not clamp a score outside its range, and it does not replace an invalid
  date with the day of the import.
- The severity comes from its column. If the column is empty or unknown, it comes from the CVSS
  score: Critical from 9.0 (CVSS version 2: 10.0), High from 7.0, Medium from 4.0, Low above 0, Info
  at 0.
- The CVSS score is version 3; without a valid one, version 4; without both, version 2.
- Days are stored as written, without a conversion of time zones.
- A file that ends within a row is refused. `--allow-partial` reads the complete rows. A cut within
  the last cell of an unquoted row leaves no trace except the missing line end: such a file is read
  with a warning, and it resolves nothing by absence.
- Without states, a missing finding is resolved only if it has the same format and the file contains
  its host (column "missing findings"), with or without findings. The import resolves nothing if the
  file may be filtered: all its findings have one severity or one plugin, or it has no informational
  finding although its scanner lists them.

## A mapping for another CSV file

`--mapping FILE.toml` reads a CSV file that has no known format. The keys of `[columns]` are
the fields of the tables below; each lists header texts in order of preference. `id` is the source
that the findings are stored with, and the tool whose plugin IDs they have, unless `ids` names
another one. `resolve = "hosts"` declares that a file lists all findings of its hosts.

```toml
id = "our_scanner"
title = "Our own scanner"
date_order = "dmy" # 05/06/2030 is the fifth of June

[columns]
host = ["Machine"]
address = ["IPv4"]
plugin_id = ["Check"]
plugin_name = ["Check name"]
cve = ["Advisories"]
severity = ["Level"]
cvss3 = ["Score"]
first_seen = ["Found on"]
state = ["Condition"]

[severities]
"p1" = "Critical"
"p2" = "High"

[states]
open = ["to do"]
fixed = ["done"]
```
"""


def render() -> str:
    """Return the text of docs/formats.md."""
    profiles = [profile for profile in load_profiles().values() if profile.refuse is None]
    lines = [
        INTRODUCTION,
        "## Formats",
        "",
        "| format | file | one row is | missing findings |",
        "|---|---|---|---|",
        *(_render_overview(profile) for profile in profiles),
        "",
    ]
    for profile in profiles:
        lines += _render_profile(profile)
    return "\n".join(lines).rstrip() + "\n"


def _render_overview(profile: Profile) -> str:
    link = f"[{profile.id}](#{profile.id})"
    return f"| {link} | {profile.title} | {profile.row} | {_resolve(profile)} |"


def _resolve(profile: Profile) -> str:
    if profile.resolve_without_state is not None:
        return "resolved on named hosts if the file has no states"
    if profile.changes_with:
        return f"resolved on named hosts if the file has no column {_names(profile.changes_with)}"
    return {"hosts": "resolved on named hosts", "none": "kept"}[profile.resolve]


def _render_profile(profile: Profile) -> list[str]:
    lines = [f"### {profile.id}", "", f"{profile.title}."]
    if profile.root is not None:
        lines[-1] += f" Root element `{profile.root}`."
    for signature in profile.signatures:
        parts = ["Header with " + _names(signature.all_of.values())]
        if signature.groups:
            words = [group.removeprefix("@") for group, _ in signature.groups]
            parts = ["Header with a column for the " + " and one for the ".join(words)]
        if signature.any_of:
            parts.append("one of " + _names(signature.any_of.values()))
        if signature.none_of:
            parts.append("not " + _names(signature.none_of.values()))
        lines.append(", and ".join(parts) + ".")
    lines += ["", "| field | columns, the first that is not empty |", "|---|---|"]
    lines += [f"| {field} | {_names(texts)} |" for field, texts in profile.columns.items()]
    for title, words in (
        ("Severities", profile.severities),
        ("Severities by kind", profile.kinds),
        ("States", profile.states),
    ):
        if words:
            pairs = ", ".join(f"`{word}` {meaning}" for word, meaning in words.items())
            lines += ["", f"{title}: {pairs.replace('_', ' ')}."]
    for sample in _samples_of(profile):
        inspection = inspect_file(sample, scan_date=SCAN_DATE)
        lines += [
            "",
            "```text",
            f"$ hextrackr-server inspect --scan-date {SCAN_DATE} {sample.name}",
        ]
        lines += [*describe(inspection, sample.name), "```"]
    return [*lines, ""]


def _samples_of(profile: Profile) -> list[Path]:
    files = sorted(path for path in SAMPLES.iterdir() if path.suffix != ".json")
    return [path for path in files if inspect_file(path, scan_date=SCAN_DATE).profile == profile.id]


def _names(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


if __name__ == "__main__":
    DOCUMENT.write_text(render(), "utf-8")
