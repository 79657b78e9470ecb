"""The instructions of a Containerfile, for tests without a container engine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction: its word in upper case, and the rest of its line."""

    word: str
    rest: str


class Stage:
    """The instructions between two FROM lines."""

    def __init__(self, image: str, name: str) -> None:
        self.image = image
        self.name = name
        self.instructions: list[Instruction] = []

    def all(self, word: str) -> list[str]:
        """Return the arguments of all instructions with a word."""
        return [each.rest for each in self.instructions if each.word == word]

    def last(self, word: str) -> str:
        """Return the arguments of the last instruction with a word."""
        return self.all(word)[-1]

    def copies(self) -> list[tuple[str, list[str]]]:
        """Return for each COPY the stage that it copies from ("" for the sources) and its paths."""
        found = []
        for rest in self.all("COPY"):
            words = rest.split()
            origin = ""
            if words[0].startswith("--from="):
                origin = words.pop(0).removeprefix("--from=")
            found.append((origin, words[:-1]))
        return found

    def environment(self) -> dict[str, str]:
        """Return the variables of all ENV instructions."""
        pairs = re.findall(r"(\w+)=(\S+)", " ".join(self.all("ENV")))
        return dict(pairs)


def command(text: str) -> list[str]:
    """Return the words of a command in the exec form."""
    words = json.loads(text)
    assert isinstance(words, list), "the shell form needs a shell and hides signals"
    return words


def read_containerfile(path: Path) -> list[Stage]:
    """Return the stages; the images are those of the default arguments."""
    text = re.sub(r"\\\n", " ", path.read_text("utf-8"))
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "ARG" and not stages:
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word == "FROM":
            image, _, name = rest.partition(" AS ")
            stages.append(Stage(re.sub(r"\$\{(\w+)\}", lambda m: arguments[m[1]], image), name))
        else:
            stages[-1].instructions.append(Instruction(word.upper(), rest.strip()))
    return stages
