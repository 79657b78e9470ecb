"""What packets are, and the seam behind which a codec turns them into messages and back.

Knows: the types of packets, what may stand in which, what a parser and a decoder promise.
Does not know: how any codec writes them; connections, sockets, rooms, handlers.
What decoders refuse, encoders refuse to make: the fault shows where it was made.
"""

from __future__ import annotations

from enum import IntEnum
from math import isfinite
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias

from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.errors import PacketError


class PacketType(IntEnum):
    """The seven types; the binary two stand only on the wire, never in a `Packet`."""

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
"""A `Packet`, or its bare fields: what costs less where it is made once a message."""


class Decoder(Protocol):
    """What one connection feeds with the messages it receives."""

    def receive_text(self, message: bytes) -> Decoded | None:
        """Return the packet that the message completes, if any; raise `PacketError`.

        The message is as Engine.IO has it: UTF-8 behind the digit 4. What is not UTF-8 raises
        UnicodeDecodeError.
        """

    def receive_binary(self, data: bytes) -> Decoded | None:
        """As `receive_text`; the bytes may end up in the packet."""

    def close(self) -> None:
        """Let go of a packet that waits for attachments."""


class Parser(Protocol):
    """What packets look like on the wire: the seam for codecs.

    Encoders never change what they are given. They raise `ValueError` or `TypeError` for what
    cannot be sent.
    """

    name: str

    def encode(self, packet: Packet) -> tuple[EncodedPacket, ...]:
        """Return the messages of a packet, in the order in which they must be sent."""

    def encode_event(
        self, namespace: str, data: list[Any] | tuple[Any, ...], ack_id: int | None = None
    ) -> tuple[EncodedPacket, ...]:
        """Encode an EVENT: as `encode`, without the cost of a `Packet`."""

    def encode_ack(
        self, namespace: str, ack_id: int, data: list[Any] | tuple[Any, ...]
    ) -> bytes | tuple[EncodedPacket, ...]:
        """Encode an ACK: as `encode`, without the cost of a `Packet`.

        Since an ACK goes to one client, a lone text message may be its bare bytes.
        """

    def decoder(self) -> Decoder:
        """Return a decoder for one more connection."""


# -- what may stand in a packet, whatever the codec

# A client must not be able to play the server's own events.
RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
MAX_NAMESPACE_LENGTH = 512
# JavaScript counts up to 2 ** 53 without loss, so any number of fifteen digits is safe.
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
    """Whether a namespace may be called so."""
    # The record separator would cut the packet in two in the payload of a polling client.
    return (
        name.startswith("/")
        and len(name) <= MAX_NAMESPACE_LENGTH
        and "," not in name
        and "\x1e" not in name
    )


def is_event_name(name: Any) -> bool:
    """Whether an event may be called so: a string that is not reserved, or a number."""
    # CVE-2023-32695: an object with a `toString` of its own passed for a name.
    if isinstance(name, str):
        return name not in RESERVED_EVENTS
    if isinstance(name, float):
        return isfinite(name)
    return isinstance(name, int) and not isinstance(name, bool)


def check_address(namespace: str, ack_id: int | None) -> None:
    """Raise `ValueError` unless a packet may be sent there, with this ack id."""
    if namespace != "/" and not is_namespace(namespace):
        raise ValueError(f"not the name of a namespace: {namespace!r}")
    if ack_id is not None and not 0 <= ack_id < ACK_ID_LIMIT:
        raise ValueError(f"an ack id has up to {MAX_ACK_ID_DIGITS} digits: {ack_id}")


def check_received_data(kind: PacketType, data: Any) -> None:
    """Raise `PacketError` unless this may be the data of a packet of this type."""
    if type(data) not in DATA_TYPES[kind]:
        refuse_payload()
    if kind is EVENT and not (data and is_event_name(data[0])):
        refuse_payload()


def check_data_to_send(kind: PacketType, data: Any) -> None:
    """Raise `ValueError` unless this may be sent as the data of a packet of this type."""
    if kind is EVENT or kind is ACK:
        if not isinstance(data, list | tuple):
            raise ValueError(f"the data of an {kind.name} must be a list or a tuple")
        name = data[0] if data else None
        if kind is EVENT and not is_event_name(name):
            raise ValueError(f"not the name of an event, or a reserved one: {name!r}")
    elif kind not in DATA_TYPES:
        raise ValueError("whether a packet is binary is seen from its data: send EVENT or ACK")
    elif data is not None and not isinstance(data, DATA_TYPES[kind]):
        raise ValueError(f"a {kind.name} cannot carry data of type {type(data).__name__}")


def refuse_payload() -> NoReturn:
    """Raise the `PacketError` of a payload that is broken, or of no use in its packet."""
    raise PacketError("invalid_payload", "invalid payload")
