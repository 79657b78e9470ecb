"""The states of HTTP connections, exchanges and mounted WebSockets, as transition tables.

An event that is absent from the row of a state is illegal in that state. The code assigns states
directly, because a table lookup per request would make polling slower; the tests check every
assignment against these tables (`tests/helpers/state_check.py`).
"""

from __future__ import annotations

from typing import Final

from engineio_core.state_table import TableKey


class ConnectionState(TableKey):
    """What an HTTP connection reads or writes."""

    IDLE = "idle"  # no request; the keep-alive deadline runs
    HEAD = "head"  # an incomplete request head is buffered
    BODY = "body"  # a request is routed; its body is not completely read
    RESPONDING = "responding"  # the request is read; its response is not complete
    LINGERING = "lingering"  # no further requests; the client reads the rest of the response
    CLOSED = "closed"  # TCP is closed, aborted, or released to a WebSocket transport


class ConnectionEvent(TableKey):
    """An event that changes the state of a connection."""

    BYTES = "bytes received"
    REQUEST = "request without body"
    REQUEST_WITH_BODY = "request with body"
    BODY_END = "end of body"
    RESPONSE_END = "end of response"
    RESPONSE_END_PIPELINED = "end of response, next request buffered"
    CLOSE = "close"
    TCP_GONE = "TCP closed, aborted or released"


class ExchangeState(TableKey):
    """How much of the response of one request is sent."""

    WAITING = "waiting"  # no response yet
    STREAMING = "streaming"  # the head is sent, the body follows
    FINISHED = "finished"  # the response is complete, or a WebSocket has replaced HTTP
    GONE = "gone"  # the client left, or the connection was aborted


class ExchangeEvent(TableKey):
    """An event that changes the state of an exchange."""

    RESPOND = "respond"
    START_STREAM = "start stream"
    FINISH = "finish"
    UPGRADE = "upgrade"
    ABORT = "abort"
    CLIENT_LEFT = "client left"


class MountedState(TableKey):
    """What a WebSocket of a mounted application sends."""

    CONNECTING = "connecting"  # the application has not answered the handshake
    DENYING = "denying"  # the application sends a response instead
    OPEN = "open"  # accepted; both sides send messages
    CLOSED = "closed"  # the application has refused or closed
    GONE = "gone"  # the client left or failed, or the server shuts down


class MountedEvent(TableKey):
    """An event that changes the state of a WebSocket of a mounted application."""

    ACCEPT = "accept"
    DENIAL = "start of a denial response"
    DENIAL_END = "end of the denial response"
    REFUSE = "refused without a response of the application"
    CLOSE = "close by the application"
    LOSS = "connection ended"


# Reading a member through the Enum class is slow on Python 3.11: 5 us more per polling round trip.
IDLE: Final = ConnectionState.IDLE
HEAD: Final = ConnectionState.HEAD
BODY: Final = ConnectionState.BODY
RESPONDING: Final = ConnectionState.RESPONDING
LINGERING: Final = ConnectionState.LINGERING
CLOSED: Final = ConnectionState.CLOSED

WAITING: Final = ExchangeState.WAITING
STREAMING: Final = ExchangeState.STREAMING
FINISHED: Final = ExchangeState.FINISHED
GONE: Final = ExchangeState.GONE

CONNECTION_TRANSITIONS: Final = {
    ConnectionState.IDLE: {
        ConnectionEvent.BYTES: ConnectionState.HEAD,
        ConnectionEvent.CLOSE: ConnectionState.LINGERING,
        ConnectionEvent.TCP_GONE: ConnectionState.CLOSED,
    },
    ConnectionState.HEAD: {
        ConnectionEvent.REQUEST: ConnectionState.RESPONDING,
        ConnectionEvent.REQUEST_WITH_BODY: ConnectionState.BODY,
        ConnectionEvent.CLOSE: ConnectionState.LINGERING,
        ConnectionEvent.TCP_GONE: ConnectionState.CLOSED,
    },
    ConnectionState.BODY: {
        ConnectionEvent.BODY_END: ConnectionState.RESPONDING,
        ConnectionEvent.CLOSE: ConnectionState.LINGERING,
        ConnectionEvent.TCP_GONE: ConnectionState.CLOSED,
    },
    ConnectionState.RESPONDING: {
        ConnectionEvent.RESPONSE_END: ConnectionState.IDLE,
        ConnectionEvent.RESPONSE_END_PIPELINED: ConnectionState.HEAD,
        ConnectionEvent.CLOSE: ConnectionState.LINGERING,
        ConnectionEvent.TCP_GONE: ConnectionState.CLOSED,
    },
    ConnectionState.LINGERING: {
        # The engine shuts down, or closes without waiting for the client.
        ConnectionEvent.CLOSE: ConnectionState.LINGERING,
        ConnectionEvent.TCP_GONE: ConnectionState.CLOSED,
    },
    ConnectionState.CLOSED: {},
}

EXCHANGE_TRANSITIONS: Final = {
    ExchangeState.WAITING: {
        ExchangeEvent.RESPOND: ExchangeState.FINISHED,
        ExchangeEvent.START_STREAM: ExchangeState.STREAMING,
        ExchangeEvent.UPGRADE: ExchangeState.FINISHED,
        ExchangeEvent.ABORT: ExchangeState.GONE,
        ExchangeEvent.CLIENT_LEFT: ExchangeState.GONE,
    },
    ExchangeState.STREAMING: {
        ExchangeEvent.FINISH: ExchangeState.FINISHED,
        ExchangeEvent.ABORT: ExchangeState.GONE,
        ExchangeEvent.CLIENT_LEFT: ExchangeState.GONE,
    },
    # The response is complete while the body of the request still arrives.
    ExchangeState.FINISHED: {
        ExchangeEvent.CLIENT_LEFT: ExchangeState.GONE,
        ExchangeEvent.ABORT: ExchangeState.GONE,
    },
    ExchangeState.GONE: {},
}

MOUNTED_TRANSITIONS: Final = {
    MountedState.CONNECTING: {
        MountedEvent.ACCEPT: MountedState.OPEN,
        MountedEvent.DENIAL: MountedState.DENYING,
        MountedEvent.REFUSE: MountedState.CLOSED,
        MountedEvent.LOSS: MountedState.GONE,
    },
    MountedState.DENYING: {
        MountedEvent.DENIAL_END: MountedState.CLOSED,
        MountedEvent.LOSS: MountedState.GONE,
    },
    MountedState.OPEN: {
        MountedEvent.CLOSE: MountedState.CLOSED,
        MountedEvent.LOSS: MountedState.GONE,
    },
    MountedState.CLOSED: {},
    MountedState.GONE: {},
}
