"""The grammar of HTTP heads: tokens, field values, request targets and header lines.

All modules that read or write header text take their patterns from here. The patterns apply to text
decoded as Latin-1.
"""

from __future__ import annotations

import re
from typing import Final

# Character sets, for use inside [...].
TOKEN_CHARACTERS: Final = r"!#$%&'*+\-.^_`|~0-9A-Za-z"  # RFC 9110, section 5.6.2: tchar
# RFC 9110, section 5.5: visible characters, blanks and obs-text.
FIELD_VALUE_CHARACTERS: Final = r"\t\x20-\x7E\x80-\xFF"
TARGET_CHARACTERS: Final = r"!-~"  # RFC 9112, section 3.2: no blanks and no controls

# One header line with its CRLF. The quantifiers are possessive: matching takes linear time.
HEADER_LINE: Final = rf"[{TOKEN_CHARACTERS}]++:[{FIELD_VALUE_CHARACTERS}]*+\r\n"

# Each is `fullmatch` of a compiled pattern: true for a valid text.
is_token: Final = re.compile(f"[{TOKEN_CHARACTERS}]+").fullmatch
is_field_value: Final = re.compile(f"[{FIELD_VALUE_CHARACTERS}]*").fullmatch
is_target: Final = re.compile(f"[{TARGET_CHARACTERS}]+").fullmatch
# RFC 6265, section 4.1.1: visible characters and blanks, without ";".
is_cookie_attribute: Final = re.compile(r"[\x20-\x3A\x3C-\x7E]*").fullmatch
