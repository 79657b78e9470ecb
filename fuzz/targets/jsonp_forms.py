"""Forms of JSONP requests."""

from __future__ import annotations

from urllib.parse import urlencode

from engineio_core.codec.jsonp import decode_form, encode_script, function_name
from engineio_core.errors import ProtocolError
from fuzz.seeds import wires
from fuzz.target import Target


def run(data: bytes) -> None:
    """Decode a form; send the text as a client does, and decode it again."""
    function = function_name(data[:20].decode("latin-1"))
    assert function.isascii()
    try:
        payload = decode_form(data)
    except ProtocolError:
        pass
    else:
        assert isinstance(payload, bytes)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    script = encode_script(function, data)
    assert b"\n" not in script
    if "\\\n" not in text and "\\\\" not in text:
        escaped = text.replace("\\n", "\\\n").replace("\n", "\\n")
        assert decode_form(urlencode({"d": escaped}).encode()) == data


TARGET = Target(
    "forms and scripts of JSONP",
    lambda: wires("engineio-jsonp"),
    run,
    (
        b"d=",
        b"&",
        b"%0A",
        b"\\n",
        b"\\\\n",
        b"%5C",
        b"%",
        b"+",
        b"\n",
        b"%ED%A0%80",
        b"\xe2\x80\xa8",
    ),
)
