"""JSONP: polling by script elements, for pages that cannot use CORS.

A poll is answered with a script that calls a function of the page with the payload; a POST is a
form whose field `d` contains the payload. Source: engine.io 6.6, transports/polling-jsonp.ts.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from engineio_core.codec.packet import malformed

MAX_INDEX_DIGITS: Final = 10
_NOT_A_DIGIT: Final = re.compile(r"[^0-9]")
#: Fields of a form; the client sends one.
MAX_FIELDS: Final = 16
#: Percent signs of a form that begin no escape. The client sends none, and each takes as long as a
#: hundred other bytes.
MAX_INVALID_ESCAPES: Final = 1000
_INVALID_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NAMES: Final = (b"d", b"%64")
# Does not occur in decoded text, unlike all other characters.
_MARK: Final = "\ud800"


def function_name(index: str) -> str:
    """Return the name of the page's function for the query parameter `j` of a handshake."""
    return f"___eio[{_NOT_A_DIGIT.sub('', index)[:MAX_INDEX_DIGITS]}]"


def encode_script(function: str, payload: bytes) -> bytes:
    """Return the script that calls the function with the payload of a poll."""
    text = orjson.dumps(payload.decode())
    # ECMAScript before 2019: these two end a line, also inside a string.
    text = text.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return b"%b(%b);" % (function.encode(), text)


def decode_form(body: bytes) -> bytes:
    """Return the payload of a POST. Raises ProtocolError for a form without a single field `d`.

    Each step is one call for the whole body, however many escapes it contains: `urllib.parse` takes
    up to 0.3 s for a body of 1 MB, which delays all other clients.
    """
    if body.count(b"&") >= MAX_FIELDS or not _is_utf8(body):
        raise malformed("the form of a JSONP request is invalid")
    fields = [field.partition(b"=") for field in body.split(b"&")]
    values = [value for name, _, value in fields if name in _NAMES]
    if len(values) != 1:
        raise malformed("the form of a JSONP request must have one field d")
    text = _unescape(values[0].replace(b"+", b" ")).decode(errors="replace")
    # The client escapes newlines, because browsers normalize them in forms.
    text = text.replace("\\\\n", _MARK).replace("\\n", "\n").replace(_MARK, "\\n")
    return text.encode()


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unescape(value: bytes) -> bytes:
    """Return the bytes of a value with percent escapes; invalid escapes stand for themselves."""
    if b"%" not in value:
        return value
    value = value.replace(b"\\", rb"\\")
    try:
        return _read_escapes(value)
    except UnicodeDecodeError:
        value = _INVALID_ESCAPE.sub(b"%25", value, MAX_INVALID_ESCAPES)
        if _INVALID_ESCAPE.search(value):
            raise malformed("the form of a JSONP request has too many invalid escapes") from None
        return _read_escapes(value)


def _read_escapes(value: bytes) -> bytes:
    return value.replace(b"%", rb"\x").decode("unicode_escape").encode("latin-1")
