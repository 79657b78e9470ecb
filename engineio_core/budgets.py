"""The memory that all clients of an engine may occupy together.

The limits per client (`max_http_buffer_size`, `max_outbox_size`) do not bound the memory of a
server with many clients.
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

from engineio_core.accounts import BUFFERED, Account

#: Unfinished messages below this size do not count, in bytes.
LARGE_MESSAGE: Final = 64 * 1024
#: A client with a shorter queue is never closed because of the queues of others, in bytes.
FAIR_QUEUE: Final = 256 * 1024
#: The share of strangers, clients that have joined no namespace, in the unfinished messages.
STRANGERS: Final = 4


@final
class Budget:
    """A number of bytes, and how many of them are used."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Budgets(NamedTuple):
    """The budgets of an engine: unfinished messages of clients, and packets queued for them."""

    known: Budget
    """Unfinished messages of all clients."""
    strangers: Budget
    """Those of clients that have joined no namespace, which count in `known` as well."""
    queued: Budget


def make_budgets(unfinished: int, queued: int) -> Budgets:
    """Return unused budgets with limits in bytes."""
    return Budgets(Budget(unfinished), Budget(unfinished // STRANGERS), Budget(queued))


@final
class Hold:
    """Bytes of the budgets for one unfinished message; they are free when the object ends."""

    __slots__ = ("_accounts", "_budgets", "_size")

    def __init__(
        self, budgets: tuple[Budget, ...], accounts: tuple[Account, ...], size: int
    ) -> None:
        self._budgets = budgets
        self._accounts = accounts
        self._size = size
        for budget in budgets:
            budget.used += size
        for account in accounts:
            account.buffered += size

    def __del__(self) -> None:
        for budget in self._budgets:
            budget.used -= self._size
        for account in self._accounts:
            account.buffered -= self._size


def hold(
    budgets: Budgets, size: int, *, is_stranger: bool, accounts: tuple[Account, ...] = ()
) -> Hold | None:
    """Reserve bytes for an unfinished message; return None if a limit is exceeded.

    The limits are those of the budgets and of the `accounts` of the session.
    """
    used = (budgets.known, budgets.strangers) if is_stranger else (budgets.known,)
    if any(each.used + size > each.limit for each in used):
        return None
    for account in accounts:
        if account.buffered + size > account.ledger.max_buffered:
            account.ledger.limited[BUFFERED] += 1
            return None
    return Hold(used, accounts, size)
