"""Words that mean the same in every format: severities, states, flags and empty values."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from hextrackr_server.imports.formats.profile import Severity, State

# Cells that count as empty, in lower case. "none" is a severity in severity columns.
NULLS: Final = frozenset({
    "", "null", "none", "n/a", "na", "nan", "-", "--", "'-", "none provided",
    "no registered hostname",
})  # fmt: skip
SEVERITY_NULLS: Final = NULLS - {"none"}
LONGEST_NULL: Final = max(map(len, NULLS))

# The first cell of rows with a sum.
FOOTER_WORDS: Final = frozenset({"total", "totals", "total:", "count", "sum", "summary"})

SEVERITY_WORDS: Final = MappingProxyType[str, Severity](
    {
        "critical": "Critical",
        "crit": "Critical",
        "high": "High",
        "important": "High",
        "severe": "High",
        "serious": "High",
        "medium": "Medium",
        "med": "Medium",
        "moderate": "Medium",
        "low": "Low",
        "info": "Info",
        "informational": "Info",
        "information": "Info",
        "none": "Info",
        "log": "Info",
        "negligible": "Info",
    }
)

STATE_WORDS: Final = MappingProxyType[str, State]({
    **dict.fromkeys(
        ("active", "new", "open", "reopen", "reopened", "re-opened", "resurfaced", "requested",
         "disputed", "pending", "expired", "unmitigated", "unresolved", "vulnerable", "opened",
         "not mitigated", "not fixed", "unfixed", "unpatched", "not patched", "unremediated",
         "present", "detected", "existing", "recurring", "unhealthy", "in progress"),
        "open",
    ),
    **dict.fromkeys(
        ("fixed", "closed", "resolved", "remediated", "mitigated", "patched", "inactive"), "fixed"
    ),
    **dict.fromkeys(
        ("accepted", "ignored", "suppressed", "excluded", "risk accepted", "risk_accepted",
         "accepted risk", "risk acceptance", "won't fix", "waived", "exempted"),
        "accepted",
    ),
    **dict.fromkeys(
        ("false positive", "false_positive", "falsepositive", "fp"), "false_positive"
    ),
})  # fmt: skip

# The same words without blanks, hyphens, underscores and apostrophes: files spell them in several
# ways.
_JOINTS: Final = str.maketrans("", "", " -_'")
_JOINED_STATES: Final = MappingProxyType(
    {word.translate(_JOINTS): state for word, state in STATE_WORDS.items()}
)


def find_state(word: str) -> State | None:
    """Return the meaning of a state in lower case in every format, or None."""
    return STATE_WORDS.get(word) or _JOINED_STATES.get(word.translate(_JOINTS))


TRUE_WORDS: Final = frozenset({
    "true", "yes", "y", "1", "t", "x", "approved", "accepted", "false positive",
})  # fmt: skip
FALSE_WORDS: Final = frozenset({"false", "no", "n", "0", "f"})
# Columns on exploits contain other words than yes and no.
NO_EXPLOIT_WORDS: Final = FALSE_WORDS | {
    "not_available", "noexploit", "no known exploits are available", "unproven",
}  # fmt: skip
