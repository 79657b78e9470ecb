"""Mutations of inputs without coverage, for runs that need no other package than the project."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

_NUMBERS = (
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff",
    b"-1",
    b"0",
    b"9" * 20,
    b"1e999",
    b"\r\n",
)


class PartMutator:
    """Changes of whole parts of an input, which lie between border bytes: cells, names, texts."""

    def __init__(self, borders: bytes, tokens: Sequence[bytes]) -> None:
        self._parts = re.compile(b"[^" + re.escape(borders) + b"]+")
        self._tokens = (*tokens, *_NUMBERS)

    def change(self, data: bytes, chance: Random, mutate: Callable[[bytes], bytes]) -> bytes:
        """Replace, remove, repeat or move a part; `mutate` changes the bytes of a part."""
        spans = [match.span() for match in self._parts.finditer(data)]
        if not spans:
            return data + chance.choice(self._tokens)
        start, end = chance.choice(spans)
        other_start, other_end = chance.choice(spans)
        part, other = data[start:end], data[other_start:other_end]
        match chance.randrange(5):
            case 0:
                part = chance.choice(self._tokens)
            case 1:
                part = other
            case 2:
                part = b""
            case 3 if start < other_end:  # all from one part to another, with its borders
                return data[:other_end] + data[end : end + 1] + data[start:]
            case _:
                part = mutate(part)
        return data[:start] + part + data[end:]


class Mutator:
    """A source of inputs that derive from seeds; equal seeds of `chance` give equal inputs."""

    def __init__(
        self,
        chance: Random,
        seeds: Sequence[bytes],
        tokens: Sequence[bytes],
        longest: int,
        borders: bytes = b"",
    ) -> None:
        self._chance = chance
        self._seeds = seeds or (b"",)
        self._tokens = (*tokens, *_NUMBERS)
        self._longest = longest
        self._parts = PartMutator(borders, tokens) if borders else None
        self._changes: tuple[Callable[[bytearray], None], ...] = (
            self._flip, self._replace, self._insert, self._delete, self._repeat, self._splice,
        )  # fmt: skip

    def make(self) -> bytes:
        """Return the next input: a seed with one to six changes."""
        chance = self._chance
        data = bytearray(chance.choice(self._seeds))
        for _ in range(chance.randint(1, 6)):
            if self._parts is not None and chance.random() < 0.5:
                data[:] = self._parts.change(bytes(data), chance, self._mutate_part)
            else:
                chance.choice(self._changes)(data)
        return bytes(data[: self._longest])

    def _mutate_part(self, part: bytes) -> bytes:
        data = bytearray(part)
        self._chance.choice(self._changes)(data)
        return bytes(data)

    def _position(self, data: bytearray) -> int:
        return self._chance.randint(0, len(data))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)

    def _replace(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] = self._chance.randrange(256)

    def _insert(self, data: bytearray) -> None:
        position = self._position(data)
        data[position:position] = self._chance.choice(self._tokens)

    def _delete(self, data: bytearray) -> None:
        start = self._position(data)
        del data[start : start + self._chance.choice((1, 1, 2, 8, 64))]

    def _repeat(self, data: bytearray) -> None:
        start, position = self._position(data), self._position(data)
        part = data[start : start + self._chance.choice((1, 4, 32))]
        data[position:position] = part * self._chance.choice((1, 1, 2, 20))

    def _splice(self, data: bytearray) -> None:
        other = self._chance.choice(self._seeds)
        start = self._chance.randint(0, len(other))
        data[self._position(data) :] = other[start:]
