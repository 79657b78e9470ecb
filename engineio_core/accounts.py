"""What the clients of one address, or of one user, occupy together: an account for each of them.

The limits per client do not bound the resources of one person with many connections, and the
`budgets` of all clients do not distinguish persons. `Session` and the connection of Socket.IO
change the numbers of their accounts directly, because a call for each change would cost more.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final, NamedTuple, final

SESSIONS: Final = "sessions"
BUFFERED: Final = "buffered"
HANDLERS: Final = "handlers"
RESOURCES: Final = (SESSIONS, BUFFERED, HANDLERS)


@final
class Account:
    """The sessions, buffered bytes and suspended handlers of one address or user."""

    __slots__ = ("buffered", "handlers", "key", "ledger", "sessions")

    def __init__(self, ledger: Ledger, key: str) -> None:
        self.ledger = ledger
        self.key = key
        self.sessions = 0
        self.buffered = 0
        """Bytes of unfinished messages above 64 KiB, and of packets in outboxes."""
        self.handlers = 0


class Largest(NamedTuple):
    """The highest number of each resource in one account."""

    sessions: int
    buffered: int
    handlers: int


@final
class Ledger:
    """The accounts of all addresses, or of all users, and their limits.

    An account exists while it has sessions or handlers, so that the limit of sessions bounds the
    number of accounts.
    """

    __slots__ = ("accounts", "limited", "max_buffered", "max_handlers", "max_sessions")

    def __init__(self, sessions: int, buffered: int, handlers: int) -> None:
        self.accounts: dict[str, Account] = {}
        self.max_sessions = sessions
        self.max_buffered = buffered
        self.max_handlers = handlers
        self.limited = dict.fromkeys(RESOURCES, 0)
        """How often a limit was applied, by resource."""

    def is_full(self, key: str) -> bool:
        """Return whether an account has as many sessions as it may have."""
        account = self.accounts.get(key)
        return account is not None and account.sessions >= self.max_sessions

    def get(self, key: str) -> Account:
        """Return the account of a key, and create it if it is missing."""
        account = self.accounts.get(key)
        if account is None:
            account = self.accounts[key] = Account(self, key)
        return account

    def drop(self, account: Account) -> None:
        """Forget an account without sessions and handlers."""
        if not (account.sessions or account.handlers) and self.accounts.get(account.key) is account:
            del self.accounts[account.key]

    def read_largest(self) -> Largest:
        """Return the highest numbers; another thread may call this."""
        accounts = list(self.accounts.values())
        return Largest(
            max((each.sessions for each in accounts), default=0),
            max((each.buffered for each in accounts), default=0),
            max((each.handlers for each in accounts), default=0),
        )


def network_of(address: str) -> str:
    """Return the address or, for IPv6, the /64 network that its account and limits apply to.

    A customer owns all addresses of such a network.
    """
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or f"{IPv6Address(int(found) >> 64 << 64)}/64")
