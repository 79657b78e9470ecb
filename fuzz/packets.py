"""Invariants of Socket.IO packets, for the targets of all codecs."""

from __future__ import annotations

from socketio_core.codec.packet import (
    ACK_ID_LIMIT,
    RESERVED_EVENTS,
    Decoded,
    Packet,
    PacketType,
    Parser,
    is_event_name,
    is_namespace,
)


def check_packet(decoded: Decoded) -> None:
    """Check the properties of received packets on which handlers rely."""
    kind, namespace, data, ack_id = decoded
    assert is_namespace(namespace)
    assert ack_id is None or 0 <= ack_id < ACK_ID_LIMIT
    match kind:
        case PacketType.EVENT:
            assert is_event_name(data[0])
            assert data[0] not in RESERVED_EVENTS
        case PacketType.ACK:
            assert type(data) is list
        case PacketType.CONNECT:
            assert data is None or type(data) is dict
        case PacketType.DISCONNECT:
            assert data is None
        case PacketType.CONNECT_ERROR:
            assert data is None or isinstance(data, str | dict)
        case _:
            raise AssertionError(f"a packet must not have the type {kind}")


def send_again(parser: Parser, decoded: Decoded) -> Packet:
    """Return a packet as a peer receives it. Raises ValueError or TypeError as the encoder."""
    decoder = parser.decoder()
    received = None
    for message in parser.encode(Packet(*decoded)):
        assert received is None, "the packet is complete before its last message"
        if message.is_binary:
            received = decoder.receive_binary(message.payload)
        else:
            received = decoder.receive_text(message.payload)
    assert received is not None
    return Packet(*received)


def is_sendable(decoded: Decoded) -> bool:
    """Return whether the encoder has all fields: an ACK without an id is received, and ignored."""
    return decoded[0] is not PacketType.ACK or decoded[3] is not None
