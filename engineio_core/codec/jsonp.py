"""JSONP: polling by script elements, for pages that cannot use CORS.

A poll is answered with a script that calls a function of the page with the payload; a POST is a
form whose field `d` contains the payload. Source: engine.io 6.6, transports/polling-jsonp.ts.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

import orjson

from engineio_core.codec.packet import malformed

MAX_INDEX_DIGITS: Final = 10
_NOT_A_DIGIT: Final = re.compile(r"[^0-9]")
_NEWLINE: Final = re.compile(r"(\\)?\\n")


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
    """Return the payload of a POST. Raises ProtocolError for a form without a single field `d`."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise malformed("the form of a JSONP request is invalid") from None
    values = [value for name, value in fields if name == "d"]
    if len(values) != 1:
        raise malformed("the form of a JSONP request must have one field d")
    # The client escapes newlines, because browsers normalize them in forms.
    text = _NEWLINE.sub(lambda found: found[0] if found[1] else "\n", values[0])
    return text.replace("\\\\n", "\\n").encode("utf-8", "surrogatepass")
