"""The forms of polling: how the packets of one session become HTTP bodies, and back.

The handshake chooses the form of a session by the revision of the protocol, the parameter `b64`
and JSONP; the transport uses all forms alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.jsonp import decode_form, encode_script
from engineio_core.codec.payload import decode_payload, encode_payload
from engineio_core.codec.payload_v3 import (
    decode_binary_payload,
    decode_text_payload,
    encode_binary_payload,
    encode_text_payload,
)
from engineio_core.http.message import JAVASCRIPT, OCTET_STREAM, TEXT_PLAIN

Header = tuple[str, str]
Decode = Callable[[bytes], Iterator[str | bytes]]


class PollingForm(NamedTuple):
    """The form of the bodies of one session."""

    encode: Callable[[list[EncodedPacket]], tuple[bytes, Header]]
    """Returns the body of a response and its content type."""

    decode: Decode
    """Yields the packets of a POST body; raises ProtocolError at the first invalid one."""

    decode_binary: Decode | None = None
    """Like `decode`, for the content type application/octet-stream; None refuses it."""


def _encode_plain(packets: list[EncodedPacket]) -> tuple[bytes, Header]:
    return encode_payload(packets), TEXT_PLAIN


def _encode_v3_text(packets: list[EncodedPacket]) -> tuple[bytes, Header]:
    return encode_text_payload(packets), TEXT_PLAIN


def _encode_v3(packets: list[EncodedPacket]) -> tuple[bytes, Header]:
    if any(packet.is_binary for packet in packets):
        return encode_binary_payload(packets), OCTET_STREAM
    return encode_text_payload(packets), TEXT_PLAIN


def as_jsonp(form: PollingForm, function: str) -> PollingForm:
    """Return a form with scripts, which call the function of a page, and with HTML forms."""

    def encode(packets: list[EncodedPacket]) -> tuple[bytes, Header]:
        return encode_script(function, form.encode(packets)[0]), JAVASCRIPT

    def decode(body: bytes) -> Iterator[str | bytes]:
        yield from form.decode(decode_form(body))

    return PollingForm(encode, decode)


PLAIN: Final = PollingForm(_encode_plain, decode_payload)
V3_TEXT: Final = PollingForm(_encode_v3_text, decode_text_payload, decode_binary_payload)
V3: Final = PollingForm(_encode_v3, decode_text_payload, decode_binary_payload)


def choose_form(protocol: int, query: dict[str, str], function: str | None) -> PollingForm:
    """Return the form of a session by the query of its handshake.

    `function` is the function of a page that uses JSONP. Node answers a JSONP client of revision 3
    without `b64` with an object instead of a payload if there is a binary packet.
    """
    if protocol == 4:
        form = PLAIN
    else:
        form = V3_TEXT if query.get("b64") or function is not None else V3
    return form if function is None else as_jsonp(form, function)
