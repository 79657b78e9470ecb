"""Helpers of event handlers: errors of services as acknowledgements, principals of sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hextrackr_server.errors import ServiceError
from hextrackr_server.security.principal import Principal
from socketio_core import AckError, Socket


@contextmanager
def refusals_as_acks() -> Iterator[None]:
    """Turn a ServiceError into the acknowledgement `{success: false, error, code, fields?}`."""
    try:
        yield
    except ServiceError as refusal:
        fields = None if refusal.fields is None else {"fields": refusal.fields}
        raise AckError(str(refusal.code), refusal.message, data=fields) from refusal


def principal_of(socket: Socket) -> Principal:
    """Return the principal, which the authentication middleware stored for each socket."""
    principal = socket.data["principal"]
    assert isinstance(principal, Principal)
    return principal
