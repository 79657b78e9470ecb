"""From the refusals of services to acks, and from a socket to its principal.

Knows: ServiceError, AckError.  Does not know: any event.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hextrackr_server.errors import ServiceError
from hextrackr_server.security.principal import Principal
from socketio_core import AckError, Socket


@contextmanager
def refusals_as_acks() -> Iterator[None]:
    """What a service refuses becomes `{success: false, error, code, fields?}`."""
    try:
        yield
    except ServiceError as refusal:
        fields = None if refusal.fields is None else {"fields": refusal.fields}
        raise AckError(str(refusal.code), refusal.message, data=fields) from refusal


def principal_of(socket: Socket) -> Principal:
    """Who the middleware found the client to be; no socket gets past it without."""
    principal = socket.data["principal"]
    assert isinstance(principal, Principal)
    return principal
