"""Format profiles: the facts about one export format, read from a TOML file.

A profile names the header texts of each field in order of preference, the words of severities and
states, and the rules that differ from format to format. The profiles of known formats are the files
in `profiles/`; a user may write one for any other CSV file. Profiles hold no code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from hextrackr_server.errors import HexTrackrError

Severity: TypeAlias = Literal["Critical", "High", "Medium", "Low", "Info", "Unknown"]
DateOrder: TypeAlias = Literal["mdy", "dmy"]
State: TypeAlias = Literal["open", "fixed", "accepted", "false_positive", "absent", "untested"]

SEVERITIES: Final = ("Critical", "High", "Medium", "Low", "Info", "Unknown")
STATES: Final = ("open", "fixed", "accepted", "false_positive", "absent", "untested")
FOLDER: Final = Path(__file__).parent / "profiles"
LONGEST_ID: Final = 32
_KEY_PARTS: Final = 32
# More parts of a key, each with the dot behind it, from the beginning of the first one.
_LONG_KEY: Final = re.compile(
    r"""(?<![A-Za-z0-9_"'\\-])(?:(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
    rf"[ \t]*+\.[ \t]*+){{{_KEY_PARTS}}}"
)
_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9._-]")
_IDENTIFIER: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{LONGEST_ID}}}")

# From the most special to the most general: the first profile whose signature fits is taken.
ORDER: Final = (
    "tenable_io_full", "tenable_vm", "tenable_sc", "nessus", "qualys_vmdr", "qualys_pci",
    "qualys_vm", "rapid7_sql", "rapid7_template", "greenbone", "defender_tvm", "aws_inspector",
    "crowdstrike", "crowdstrike_remediations", "alert_logic", "saint", "trustwave", "kev_csv",
    "generic_defectdojo", "hub", "nessus_xml", "greenbone_xml", "nexpose_xml",
)  # fmt: skip

FIELDS: Final = frozenset({
    "host", "host_url", "address", "ipv6", "asset_id", "mac", "host_kind", "scan_status", "port",
    "protocol", "port_protocol", "plugin_id", "plugin_name", "plugin_name_parts", "family",
    "vendor_reference", "reference", "cve", "severity", "kind", "cvss3", "cvss4", "cvss2", "cvss",
    "cvss_version", "vpr", "epss", "risk_score", "description", "solution", "see_also", "output",
    "first_seen", "last_seen", "fixed_on", "published", "patched", "state", "accepted",
    "accepted_comment", "false_positive", "fixed", "kev_due", "duplicate", "active", "exploit",
    "operating_system", "os_parts",
})  # fmt: skip
_HOST_FIELDS: Final = ("host", "host_url", "address")
_VULNERABILITY_FIELDS: Final = ("cve", "plugin_id", "plugin_name")
# Entries of a signature that stand for any column of some fields.
_GROUPS: Final = MappingProxyType({"@host": _HOST_FIELDS, "@vulnerability": _VULNERABILITY_FIELDS})


class ProfileError(HexTrackrError):
    """An unusable profile; the text names the file, the key and the remedy."""


Names: TypeAlias = Mapping[str, str]
"""Column names: the normalized form, and the spelling that users see."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Column names that identify a format.

    `groups` are sets of names of which a header must have one each, with the word for the set.
    """

    all_of: Names
    any_of: Names
    none_of: Names
    groups: tuple[tuple[str, frozenset[str]], ...] = ()

    def fits(self, names: frozenset[str]) -> bool:
        """Return whether a header with these normalized names has the signature."""
        return (
            names.issuperset(self.all_of)
            and not (self.any_of and names.isdisjoint(self.any_of))
            and not any(group.isdisjoint(names) for _, group in self.groups)
            and names.isdisjoint(self.none_of)
        )

    def missing(self, names: frozenset[str]) -> list[str]:
        """Return what a header with these normalized names lacks; empty if the signature fits."""
        lacking = [repr(shown) for name, shown in self.all_of.items() if name not in names]
        if self.any_of and names.isdisjoint(self.any_of):
            lacking.append("one of " + ", ".join(map(repr, self.any_of.values())))
        lacking += [
            f"a column for the {group.removeprefix('@')}"
            for group, group_names in self.groups
            if group_names.isdisjoint(names)
        ]
        lacking += [
            f"the absence of {shown!r}" for name, shown in self.none_of.items() if name in names
        ]
        return lacking


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One export format.

    `columns` maps a field to header texts in order of preference; `severities`, `kinds` and
    `states` map lower-case words. `resolve` is the effect of a missing finding: "none", or "hosts",
    which may resolve open findings of the same format on the hosts that the file names.
    """

    id: str
    title: str
    row: str
    columns: Mapping[str, tuple[str, ...]]
    ids: str = ""
    """The tool whose plugin ids the format holds: formats of one tool share their ids."""
    resolve: Literal["none", "hosts"] = "none"
    resolve_without_state: Literal["none", "hosts"] | None = None
    changes_with: tuple[str, ...] = ()
    """Columns of exports that list changes only, so that they resolve nothing by absence."""
    signatures: tuple[Signature, ...] = ()
    root: str | None = None
    """The root element of an XML format."""
    severities: Mapping[str, Severity] = field(default_factory=dict)
    kinds: Mapping[str, Severity] = field(default_factory=dict)
    """Words of the column `kind` that decide the severity, whatever the severity column says."""
    states: Mapping[str, State] = field(default_factory=dict)
    """Words of states; `skipped-*` stands for all words that begin with `skipped-`."""
    date_order: DateOrder | None = None
    """The order of numeric dates that the tool documents; None if it depends on the user."""
    nulls: frozenset[str] = frozenset()
    skip_without: tuple[str, ...] = ()
    """Fields without which a row is not a finding, and not an error either."""
    scanned: frozenset[str] = frozenset()
    """Words of the column `scan_status`, in lower case, of hosts that were scanned."""
    not_scanned: Mapping[str, str] = field(default_factory=dict)
    """Plugin ids that report a host that was not scanned, each with a text of their output."""
    host_kinds: frozenset[str] = frozenset()
    """Values of the column `host_kind` that are hosts; other rows are left out."""
    lists_info: bool = False
    """Whether a complete export has Info findings: one without any looks filtered."""
    epss_percent: bool = False
    """Whether EPSS values above 1 are percentages."""
    cisco_advisories: bool = False
    prefers_unversioned: bool = False
    """Whether a CVSS score without a version counts before one of version 2."""
    name_separator: str = " "
    """The separator between the columns of `plugin_name_parts`."""
    guesses: frozenset[str] = frozenset()
    """Normalized names of columns that are only guessed: they are usual, but of no known format."""
    stale_days: int = 0
    """Findings last seen so many days before the newest may be fixed; 0 for no such warning."""
    exploit_words: tuple[str, ...] = ()
    """Words of the column `exploit` that name an exploit; empty if every text but no does."""
    preamble_date: str | None = None
    """A heading above the header whose value is the date of the observation."""
    refuse: str | None = None
    """The reason why files of this format are refused."""
    normalized: Mapping[str, tuple[str, ...]] = field(init=False)
    """The header texts of each field, normalized."""
    signature_names: frozenset[str] = field(init=False)
    """The normalized names of which a fitting header has at least one."""

    def __post_init__(self) -> None:
        """Derive the values that the reading of each file needs."""
        groups = (names for signature in self.signatures for _, names in signature.groups)
        single = ({**signature.all_of, **signature.any_of} for signature in self.signatures)
        normalized = {name: tuple(map(normalize, texts)) for name, texts in self.columns.items()}
        object.__setattr__(self, "normalized", MappingProxyType(normalized))
        object.__setattr__(self, "signature_names", frozenset[str]().union(*single, *groups))

    def fits(self, names: frozenset[str]) -> bool:
        """Return whether a header with these normalized names has one of the signatures."""
        return any(signature.fits(names) for signature in self.signatures)

    def missing(self, names: frozenset[str]) -> list[str]:
        """Return what a header lacks for the nearest signature; empty if the profile fits."""
        candidates = [signature.missing(names) for signature in self.signatures]
        return min(candidates, key=len, default=["a signature"])


def normalize(name: str) -> str:
    """Return a column name without case, blanks, dots, underscores, hyphens and `?`."""
    return _normalize_known(name) if len(name) <= _LONGEST_KNOWN else _normalize(name)


def _normalize(name: str) -> str:
    return _INSIGNIFICANT.sub("", name).lower()


_INSIGNIFICANT: Final = re.compile(r"[\s._\-?\ufeff]+")
# The names of all formats are shorter; files repeat them.
_LONGEST_KNOWN: Final = 64
_normalize_known = lru_cache(maxsize=2048)(_normalize)


@cache
def load_profiles() -> Mapping[str, Profile]:
    """Return the profiles of the known formats in the order in which detection tries them."""
    profiles = {name: read_profile(FOLDER / f"{name}.toml") for name in ORDER}
    return MappingProxyType(profiles)


def read_profile(path: Path) -> Profile:
    """Read a profile. Raises ProfileError if the file is missing or does not fit the schema."""
    return parse_profile(_read_text(path), path.stem, str(path))


def read_mapping(path: Path) -> Profile:
    """Read a user's profile; raise ProfileError also if its id is that of a known format.

    Without an id, the name of the file is the id, unless a known format has that name.
    """
    name = "mapping" if path.stem in load_profiles() else path.stem
    return parse_mapping(_read_text(path), name, str(path))


def parse_mapping(text: str, name: str, where: str) -> Profile:
    """Return a user's profile; raise ProfileError also if its id is that of a known format."""
    mapping = parse_profile(text, name, where)
    if mapping.id in load_profiles():
        raise ProfileError(
            f"{where}: its id {mapping.id!r} is that of a known format; choose another one"
        )
    return mapping


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: not a TOML file: {error}") from None


def parse_profile(text: str, name: str, where: str = "the mapping") -> Profile:
    """Return the profile in a TOML text; `name` is its id unless the text has one.

    Raises ProfileError, which begins with `where`.
    """
    if _LONG_KEY.search(text):
        # tomllib takes a time that grows with the square of the parts: 10 s for 64 KiB of `a.a.a`.
        raise ProfileError(f"{where}: a key must have at most {_KEY_PARTS} parts with dots between")
    try:
        data = tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        # ValueError: also the error of a number with too many digits.
        raise ProfileError(f"{where}: not a TOML file: {error}") from None
    try:
        return _make_profile(data, name)
    except (TypeError, ValueError) as error:
        raise ProfileError(f"{where}: {error}") from None


def _make_profile(data: dict[str, Any], name: str) -> Profile:
    _check_names("key", data, _KEYS)
    columns = {key: _texts(key, value) for key, value in _table(data, "columns").items()}
    _check_names("field", columns, FIELDS)
    signatures = data.get("signature", [])
    if not isinstance(signatures, list) or not all(isinstance(each, dict) for each in signatures):
        raise TypeError("signature must be a list of tables ([[signature]])")
    fallback = _UNUSUAL.sub("_", name)[:LONGEST_ID]
    identifier = _identifier("id", data.get("id") or fallback)
    skip_without = _texts("skip_without", data.get("skip_without", []))
    _check_names("field in skip_without", skip_without, FIELDS)
    return Profile(
        id=identifier,
        title=_text("title", data.get("title")) or name,
        row=_text("row", data.get("row")) or "finding",
        columns=MappingProxyType(columns),
        ids=_identifier("ids", data.get("ids") or identifier),
        resolve=_one_of("resolve", data.get("resolve", "none"), ("none", "hosts")),
        resolve_without_state=_one_of(
            "resolve_without_state", data.get("resolve_without_state"), (None, "none", "hosts")
        ),
        changes_with=_texts("changes_with", data.get("changes_with", [])),
        signatures=tuple(_make_signature(each, columns) for each in signatures),
        root=_text("root", data.get("root")),
        severities=_words("severities", data, SEVERITIES),
        kinds=_words("kinds", data, SEVERITIES),
        states=_states(data),
        date_order=_one_of("date_order", data.get("date_order"), (None, "mdy", "dmy")),
        nulls=frozenset(text.lower() for text in _texts("nulls", data.get("nulls", []))),
        skip_without=skip_without,
        scanned=frozenset(text.lower() for text in _texts("scanned", data.get("scanned", []))),
        not_scanned=_plain_table("not_scanned", data),
        host_kinds=frozenset(_texts("host_kinds", data.get("host_kinds", []))),
        lists_info=_flag("lists_info", data.get("lists_info", False)),
        epss_percent=_flag("epss_percent", data.get("epss_percent", False)),
        cisco_advisories=_flag("cisco_advisories", data.get("cisco_advisories", False)),
        prefers_unversioned=_flag("prefers_unversioned", data.get("prefers_unversioned", False)),
        name_separator=_separator(data.get("name_separator", " ")),
        guesses=frozenset(map(normalize, _texts("guesses", data.get("guesses", [])))),
        stale_days=_days("stale_days", data.get("stale_days", 0)),
        exploit_words=tuple(
            word.lower() for word in _texts("exploit_words", data.get("exploit_words", []))
        ),
        preamble_date=_text("preamble_date", data.get("preamble_date")),
        refuse=_text("refuse", data.get("refuse")),
    )


_KEYS: Final = frozenset({
    "id", "title", "row", "columns", "ids", "resolve", "resolve_without_state", "signature", "root",
    "severities", "kinds", "states", "date_order", "nulls", "skip_without", "host_kinds",
    "lists_info", "epss_percent", "cisco_advisories", "name_separator", "preamble_date", "refuse",
    "guesses", "stale_days", "exploit_words", "scanned", "not_scanned", "changes_with",
    "prefers_unversioned",
})  # fmt: skip


def _make_signature(data: dict[str, Any], columns: Mapping[str, tuple[str, ...]]) -> Signature:
    """Return a signature with normalized names.

    A group such as `@host` in `all_of` stands for the columns of several fields: one of them must
    be there.
    """
    _check_names("key of a signature", data, frozenset({"all_of", "any_of", "none_of"}))
    sets = {key: _texts(key, value) for key, value in data.items()}
    all_of, any_of, none_of = (
        {normalize(name): name for name in sets.get(key, ()) if name not in _GROUPS}
        for key in ("all_of", "any_of", "none_of")
    )
    groups = tuple(
        (group, frozenset(normalize(text) for key in keys for text in columns.get(key, ())))
        for group, keys in _GROUPS.items()
        if group in sets.get("all_of", ())
    )
    return Signature(all_of, any_of, none_of, groups)


def _states(data: dict[str, Any]) -> Mapping[str, State]:
    table = _table(data, "states")
    _check_names("state", table, frozenset(STATES))
    return MappingProxyType(
        {word.lower(): state for state in STATES for word in _texts(state, table.get(state, []))}
    )


def _words(name: str, data: dict[str, Any], meanings: tuple[str, ...]) -> Mapping[str, Any]:
    return MappingProxyType(
        {
            word.lower(): _one_of(f"{name}.{word}", meaning, meanings)
            for word, meaning in _table(data, name).items()
        }
    )


def _plain_table(name: str, data: dict[str, Any]) -> Mapping[str, str]:
    table = _table(data, name)
    if not all(isinstance(value, str) for value in table.values()):
        raise TypeError(f"the values of {name} must be strings, got {table!r}")
    return MappingProxyType(table)


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name, {})
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a table, got {value!r}")
    return value


def _identifier(name: str, value: Any) -> str:
    text = _text(name, value) or ""
    if not _IDENTIFIER.fullmatch(text):
        raise ValueError(
            f"{name} must be 1 to {LONGEST_ID} letters, digits or . _ -, got {text[:64]!r}"
        )
    return text


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    return value


def _separator(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"name_separator must be a string, got {value!r}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false, without quotes, got {value!r}")
    return value


def _days(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} must be a number of days from 0, got {value!r}")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError(f"{name} must be a list of strings, got {value!r}")
    return tuple(value)


def _one_of(name: str, value: Any, allowed: tuple[str | None, ...]) -> Any:
    if value not in allowed:
        words = ", ".join(repr(word) for word in allowed if word is not None)
        raise ValueError(f"{name} must be one of {words}, got {value!r}")
    return value


def _check_names(what: str, given: Iterable[str], known: frozenset[str]) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "known are " + ", ".join(sorted(known))
            raise ValueError(f"unknown {what} {name!r}: {hint}")
