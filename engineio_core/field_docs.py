"""Field descriptions in `help()`: the string literal below each field of a dataclass.

Editors read these literals from the source. `help()` reads them from `__slots__` if it is a dict of
name to description, so `document_fields` replaces the names in `__slots__` with such a dict. The
source is parsed at the first use of the dict; importing the package costs nothing.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable
from itertools import pairwise
from typing import TypeVar

Class = TypeVar("Class", bound=type)


class FieldDocs(dict[str, str]):
    """The descriptions of the fields of a class, parsed when they are first read."""

    def __init__(self, kind: type, names: Iterable[str]) -> None:
        super().__init__(dict.fromkeys(names, ""))
        self._kind = kind
        self._is_loaded = False

    def __getitem__(self, name: str) -> str:
        if not self._is_loaded:
            self._is_loaded = True
            self.update(read_field_docs(self._kind))
        return super().__getitem__(name)


def document_fields(kind: Class) -> Class:
    """Show the description of each field of a dataclass with slots in `help()`."""
    kind.__slots__ = FieldDocs(kind, kind.__slots__)  # type: ignore[attr-defined]
    return kind


def read_field_docs(kind: type) -> dict[str, str]:
    """Return the string literal below each annotated field; empty without the source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return {}
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
    docs: dict[str, str] = {}
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            docs[field.target.id] = inspect.cleandoc(text.value.value)
    return docs
