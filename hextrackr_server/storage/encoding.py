"""The stored form of findings: numbers instead of words, and hashes of long values.

The module imports no database library, because the process that reads files uses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

#: Severities by the number that is stored for them, in ascending order.
RANKED_SEVERITIES = ("Unknown", "Info", "Low", "Medium", "High", "Critical")
#: Lifecycle states by the number that is stored for them. Findings below RESOLVED are open.
LIFECYCLE_STATES = ("active", "reopened", "resolved")
ACTIVE, REOPENED, RESOLVED = range(3)


def digest(values: Iterable[str | None]) -> bytes:
    """Return the hash by which the database finds a dictionary entry of several values."""
    # Values contain no control characters but line breaks and tabs, so the separators are unique.
    joined = "\x1f".join(["\x1e" if value is None else value for value in values])
    return blake2b(joined.encode("utf-8", "replace"), digest_size=16).digest()


def day_number(day: str) -> int:
    """Return the number that is stored for a day: 20250930 for 2025-09-30."""
    return int(day.replace("-", ""))


def day_of(number: int) -> str:
    """Return the day that is stored as a number: 2025-09-30 for 20250930."""
    return f"{number // 10_000:04}-{number // 100 % 100:02}-{number % 100:02}"
