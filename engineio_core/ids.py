"""The generator of all random ids: session ids (sid), socket ids and recovery ids.

The sids of a worker process contain its number, so that each worker finds the owner of a session.
"""

from __future__ import annotations

from binascii import b2a_base64
from os import register_at_fork, urandom
from typing import Final, final

_BYTES: Final = 15
_BATCH: Final = 32  # ids; a system call for each would cost 1 % of a connect
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
ID_LENGTH: Final = 20

MAX_WORKERS: Final = len(_ALPHABET)
"""The number of worker processes that sids can distinguish."""


def generate_id() -> str:
    """Return an unguessable id: 20 characters of `[A-Za-z0-9_-]`, 120 random bits.

    Load balancers with sticky sessions recognize this form. Equivalent to `secrets.token_urlsafe`,
    whose five nested Python functions cost 3 % of a connect (benchmarks/hop_budget.py).
    """
    while True:
        try:
            return _unused.pop()  # each thread gets another id
        except IndexError:
            _unused.extend(_generate_batch())


def _generate_batch() -> list[str]:
    text = b2a_base64(urandom(_BYTES * _BATCH), newline=False).translate(_URL_SAFE).decode()
    return [text[start : start + ID_LENGTH] for start in range(0, len(text), ID_LENGTH)]


_unused: Final[list[str]] = []
register_at_fork(after_in_child=_unused.clear)  # a child process must not repeat the ids


@final
class WorkerIds:
    """Generator of the ids of one worker process: 20 characters, 114 random bits.

    The number of the worker is the exclusive or of the first two characters, so that every
    character is random by itself.
    """

    __slots__ = ("_first",)

    def __init__(self, number: int) -> None:
        if not 0 <= number < MAX_WORKERS:
            raise ValueError(
                f"the number of a worker must be from 0 to {MAX_WORKERS - 1}, got {number}"
            )
        # second character -> first character
        self._first = {character: _ALPHABET[value ^ number] for character, value in _VALUES.items()}

    def generate(self) -> str:
        """Return an unguessable id that contains the number of the worker."""
        text = generate_id()[1:]
        return self._first[text[0]] + text


def worker_of(identifier: str) -> int | None:
    """Return the number of the worker in an id; None for a text of another form."""
    if len(identifier) != ID_LENGTH:
        return None
    first, second = _VALUES.get(identifier[0]), _VALUES.get(identifier[1])
    return None if first is None or second is None else first ^ second
