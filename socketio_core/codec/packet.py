"""Packet types, the rules for their contents, and the interface of parsers.

Encoders refuse the packets that decoders refuse, so that the sender gets the error.
"""

from __future__ import annotations

from enum import IntEnum
from math import isfinite
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.errors import PacketError


class PacketType(IntEnum):
    """The packet types; the two binary ones appear only on the wire, never in a `Packet`."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


class Packet(NamedTuple):
    """One packet: an EVENT's data is `[name, *arguments]`, an ACK's `[*arguments]`."""

    type: PacketType
    namespace: str = "/"
    data: Any = None
    ack_id: int | None = None


Decoded: TypeAlias = tuple[PacketType, str, Any, int | None]
"""A `Packet`, or a plain tuple of its fields, which is cheaper to create for each message."""


class Decoder(Protocol):
    """The decoder of the messages of one connection."""

    def receive_text(self, message: bytes) -> Decoded | None:
        """Return the packet that the message completes, if any.

        The message starts with the digit 4 of Engine.IO. Raises PacketError, and
        UnicodeDecodeError for invalid UTF-8.
        """

    def receive_binary(self, data: bytes) -> Decoded | None:
        """Like `receive_text`; the packet may contain the bytes."""

    def close(self) -> None:
        """Drop a packet that waits for attachments."""


class Parser(Protocol):
    """A codec: the form of packets on the wire.

    Encoders do not change their arguments. They raise `ValueError` or `TypeError` for data that
    cannot be sent.
    """

    name: str

    def encode(self, packet: Packet) -> tuple[EncodedPacket, ...]:
        """Return the messages of a packet, in the order in which they must be sent."""

    def encode_event(
        self, namespace: str, data: list[Any] | tuple[Any, ...], ack_id: int | None = None
    ) -> tuple[EncodedPacket, ...]:
        """Encode an EVENT without the cost of a `Packet`; the name must be a string."""

    def encode_ack(
        self, namespace: str, ack_id: int, data: list[Any] | tuple[Any, ...]
    ) -> bytes | tuple[EncodedPacket, ...]:
        """Encode an ACK without the cost of a `Packet`.

        A single text message may be returned as its bytes, because an ACK has one receiver.
        """

    def decoder(self) -> Decoder:
        """Return the decoder of a new connection."""


# -- the contents of packets, for all codecs

# A client must not be able to send the events of the server itself.
RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
MAX_NAMESPACE_LENGTH = 512
# JavaScript represents integers up to 2 ** 53 exactly, so fifteen digits are safe.
MAX_ACK_ID_DIGITS = 15
ACK_ID_LIMIT = 10**MAX_ACK_ID_DIGITS

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = PacketType
DATA_TYPES: dict[PacketType, tuple[type, ...]] = {
    CONNECT: (dict,),
    DISCONNECT: (),
    EVENT: (list,),
    ACK: (list,),
    CONNECT_ERROR: (str, dict),
}


def is_namespace(name: str) -> bool:
    """Return whether a namespace may have this name."""
    # The record separator would split the packet in the payload of a polling client.
    return (
        name.startswith("/")
        and len(name) <= MAX_NAMESPACE_LENGTH
        and "," not in name
        and "\x1e" not in name
    )


def is_event_name(name: Any) -> bool:
    """Return whether an event may have this name: a string that is not reserved, or a number."""
    # CVE-2023-32695: an object with its own `toString` was accepted as a name.
    if isinstance(name, str):
        return name not in RESERVED_EVENTS
    if isinstance(name, float):
        return isfinite(name)
    return isinstance(name, int) and not isinstance(name, bool)


def check_address(namespace: str, ack_id: int | None) -> None:
    """Raise `ValueError` unless the namespace and the ack id of a packet are valid."""
    if namespace != "/" and not is_namespace(namespace):
        raise ValueError(
            f"{namespace!r:.100} is not a valid namespace: write a name such as '/chat'"
        )
    if ack_id is not None and not 0 <= ack_id < ACK_ID_LIMIT:
        raise ValueError(f"an ack id must have 1 to {MAX_ACK_ID_DIGITS} digits, got {ack_id}")


def check_received_data(kind: PacketType, data: Any) -> None:
    """Raise `PacketError` unless a packet of this type may have this data."""
    if type(data) not in DATA_TYPES[kind]:
        refuse_payload()
    if kind is EVENT and not (data and is_event_name(data[0])):
        refuse_payload()


def check_data_to_send(kind: PacketType, data: Any) -> None:
    """Raise `ValueError` unless a packet of this type may be sent with this data."""
    if kind is EVENT or kind is ACK:
        if not isinstance(data, list | tuple):
            raise ValueError(
                f"the data of an {kind.name} must be a list or a tuple, got {data!r:.100}"
            )
        name = data[0] if data else None
        if kind is EVENT and not is_event_name(name):
            raise ValueError(
                f"an event name must be a string that is not reserved, got {name!r:.100}"
            )
    elif kind not in DATA_TYPES:
        raise ValueError("a binary packet must be sent as EVENT or ACK: its data decides")
    elif data is not None and not isinstance(data, DATA_TYPES[kind]):
        raise ValueError(f"a {kind.name} must not have data of type {type(data).__name__}")


def check_event_to_send(data: list[Any] | tuple[Any, ...]) -> None:
    """Raise `TypeError` or `ValueError` unless data starts with a valid event name.

    A number is a name for other implementations, but sending one is a mistake.
    """
    check_data_to_send(EVENT, data)
    if not isinstance(data[0], str):
        raise TypeError(f"an event name must be a string, got {data[0]!r}")


def refuse_payload() -> NoReturn:
    """Raise the `PacketError` of an invalid payload."""
    raise PacketError("invalid_payload", "invalid payload")
