"""Type variables with a default, and the protocol that bounds them.

A module of its own without other code: mypyc compiles the branch after `if TYPE_CHECKING` as
unreachable, so modules with such a branch must stay interpreted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from socketio_core.acknowledgement import AckSink

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Data = TypeVar("Data", default=dict[str, Any])
    Member = TypeVar("Member", bound="AudienceMember", default=Any)
    Member_co = TypeVar("Member_co", bound="AudienceMember", covariant=True, default=Any)
else:
    from typing import TypeVar

    Data = TypeVar("Data")
    Member = TypeVar("Member")
    Member_co = TypeVar("Member_co", covariant=True)


class AudienceMember(Protocol):
    """The part of a socket that bulk operations use."""

    def join(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Join one room or several."""

    def leave(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Leave one room or several."""

    def disconnect(self, close: bool = False) -> None:
        """Disconnect the socket, optionally with its connection."""

    def _forget_ack(self, sink: AckSink) -> None:
        """Ignore the ack that `sink` waits for."""
