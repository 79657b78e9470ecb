"""The fields of a socket that each delivery reads; a compiled build compiles them."""

from __future__ import annotations

from collections.abc import Callable

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.subclassing import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class RecipientFields:
    """The base of sockets, as a broadcast uses them; `Recipient` describes both fields."""

    __slots__ = ("_listens_outgoing", "_send_packet")

    _listens_outgoing: bool
    _send_packet: Callable[[EncodedPacket], None]
