"""Revision 4 of the Socket.IO protocol, of socket.io-client 1 and 2, where its packets differ.

Clients send the auth data of a namespace as the query of its name, the reply to a CONNECT has no
payload, and a refusal is any JSON value. Events, acks and attachments are the same in both
revisions. `socket.io-msgpack-parser` 2 writes packets without data as JSON text.
"""

from __future__ import annotations

import re
from typing import Any, Final, final
from urllib.parse import parse_qsl

from socketio_core.codec.json_codec import load_json
from socketio_core.codec.msgpack_codec import MsgpackParser, read_message, unpack_message
from socketio_core.codec.packet import (
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    Decoded,
    Decoder,
    Packet,
    Parser,
    refuse_payload,
)
from socketio_core.errors import PacketError

MAX_FIELDS: Final = 1000
"""The number of fields in the query of a namespace."""

# The start of a text packet whose namespace has a query or a fragment.
_WITH_QUERY: Final = re.compile(rb"(4[0-6](?:[0-9]{1,15}-)?/[^,?#]*)([?#][^,]*)")
_QUERY: Final = re.compile(r"[?#].*", re.DOTALL)


def old_decoder(parser: Parser) -> Decoder:
    """Return the decoder of a new connection of revision 4."""
    inner = parser.decoder()
    return _MsgpackDecoder(inner) if isinstance(parser, MsgpackParser) else _TextDecoder(inner)


def connect_reply(name: str) -> Packet:
    """Return the reply to a CONNECT; the client derives its id from the sid of Engine.IO."""
    return Packet(CONNECT, name)


def refusal_data(body: dict[str, Any], parser: Parser, *, is_known: bool) -> Any:
    """Return the payload of a refusal: like on Node, the data of the error, else its message.

    Node sends the refusal of an unknown namespace as an object. Packets of this server contain text
    or objects only, and version 2 of the MessagePack parser accepts only text.
    """
    if isinstance(parser, MsgpackParser):
        return body["message"]
    if not is_known:
        return body
    data = body.get("data")
    return data if data and isinstance(data, str | dict) else body["message"]


def socket_id(name: str, sid: str) -> str:
    """Return the id of a socket: the value that clients of revision 4 compute for it."""
    return sid if name == "/" else f"{name}#{sid}"


@final
class _TextDecoder:
    """Reads the messages of one connection; `inner` is the decoder of revision 5."""

    __slots__ = ("_inner", "close", "receive_binary")

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner
        self.close = inner.close
        self.receive_binary = inner.receive_binary

    def receive_text(self, message: bytes) -> Decoded | None:
        """Return the packet that the message completes, if any."""
        found = _WITH_QUERY.match(message)
        query = b""
        if found is not None:
            address, query = found.groups()
            message = address + message[found.end() :]
        packet = self._inner.receive_text(message)
        if packet is not None and packet[0] is CONNECT:
            return CONNECT, packet[1], read_query(query.decode()), None
        return packet


@final
class _MsgpackDecoder:
    """Reads the messages of one connection with `socket.io-msgpack-parser` 2."""

    __slots__ = ("close",)

    def __init__(self, inner: Decoder) -> None:
        self.close = inner.close

    def receive_text(self, message: bytes) -> Decoded | None:
        """Return the packet of a JSON text: CONNECT or DISCONNECT."""
        value = load_json(message[1:])
        if not isinstance(value, dict):
            refuse_payload()
        return self._read(value)

    def receive_binary(self, data: bytes) -> Decoded | None:
        """Return the packet of a MessagePack message."""
        message = unpack_message(data)
        # The client distinguishes events with binary values, although they contain the values.
        kind = message.get("type")
        if kind in (BINARY_EVENT, BINARY_ACK):
            message["type"] = int(kind) - 3
        return self._read(message)

    def _read(self, message: dict[Any, Any]) -> Decoded:
        name, query = message.get("nsp"), ""
        if isinstance(name, str) and (found := _QUERY.search(name)):
            message["nsp"], query = name[: found.start()], found[0]
        packet = read_message(message)
        if packet[0] is CONNECT:
            return CONNECT, packet[1], read_query(query), None
        return packet


def read_query(query: str) -> dict[str, str]:
    """Return the fields of a query as auth data; the last value of a field wins, like on Node.

    Raises PacketError for too many fields.
    """
    try:
        fields = parse_qsl(
            query.partition("#")[0].removeprefix("?"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise PacketError("invalid_namespace", "invalid namespace") from None
    return dict(fields)
