"""The optional parameters of imports and inspections, and their validation."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime

from hextrackr_server.clock import epoch_ms
from hextrackr_server.errors import invalid
from hextrackr_server.imports.absence import SCOPES
from hextrackr_server.imports.formats import profile
from hextrackr_server.imports.formats.dates import day_in_file_name
from hextrackr_server.imports.formats.profile import Profile, ProfileError
from hextrackr_server.imports.status import check_session_id
from hextrackr_server.text import clean, iso_date

#: Characters of a user's mapping.
MAXIMUM_MAPPING = 64 * 1024
_BASE36 = string.digits + string.ascii_lowercase


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The optional parameters of an import.

    `confirm` resolves absent findings whatever their share; `allow_partial` imports a file that
    breaks off; `mapping` is the TOML text of a profile for the file.
    """

    vendor: str | None = None
    scan_date: str | None = None
    session_id: str | None = None
    scope: str | None = None
    confirm: bool = False
    allow_partial: bool = False
    mapping: str | None = None


def vendor_of(requested: str | None) -> str | None:
    """Return a displayable vendor, or None."""
    return clean(requested or "", 64).strip() or None


def session_id_of(requested: str | None) -> str:
    """Return the requested session ID, or a new one; ServiceError if it is malformed."""
    if requested is None:
        suffix = "".join(secrets.choice(_BASE36) for _ in range(9))
        return f"import-{epoch_ms()}-{suffix}"
    return check_session_id(requested)


def parse_mapping(text: str | None) -> Profile | None:
    """Return the profile in a user's mapping; raise ServiceError VALIDATION_ERROR."""
    if not text:
        return None
    if len(text) > MAXIMUM_MAPPING:
        message = f"must have at most {MAXIMUM_MAPPING} characters, has {len(text)}"
        raise invalid("Invalid mapping", [("mapping", message)])
    try:
        return profile.parse_mapping(text, "mapping", "mapping")
    except ProfileError as error:
        raise invalid("Invalid mapping", [("mapping", str(error))]) from error


def checked_mapping(text: str | None) -> str:
    """Return the text of a user's mapping, which the reader parses again."""
    parse_mapping(text)
    return text or ""


def scope_of(requested: str | None) -> str:
    """Return the requested scope, by default `auto`; ServiceError for an unknown one."""
    if requested is not None and requested not in SCOPES:
        raise invalid("Invalid scope", [("scope", "must be one of: " + ", ".join(SCOPES))])
    return requested or "auto"


def scan_date_of(requested: str | None, filename: str) -> str:
    """Return the requested day, else that in the file name, else today; ServiceError."""
    if requested is None:
        today = datetime.now(UTC).date()
        return day_in_file_name(filename, today) or today.isoformat()
    day = iso_date(requested)
    if day is None:
        raise invalid("Invalid scanDate", [("scanDate", "must be a date such as 2025-09-30")])
    return day
