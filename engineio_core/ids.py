"""The generator of all random ids: session ids (sid), socket ids and recovery ids.

The sids of a worker process contain its number, so that each worker finds the owner of a session.
"""

from __future__ import annotations

from binascii import b2a_base64
from os import urandom
from typing import Final, final

_BYTES: Final = 15
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
    return b2a_base64(urandom(_BYTES), newline=False).translate(_URL_SAFE).decode()


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
