"""Annotations that only documents use."""

from __future__ import annotations

from typing import Any, NamedTuple


class DocumentedAs(NamedTuple):
    """Metadata of an annotation: the type that documents show instead.

    `Annotated[Any, DocumentedAs(Filters)]` is a parameter that the server passes on without a
    check, because the handler checks the value itself. Documents show it as required, even if it
    has a default, unless it is `optional`.
    """

    type: Any
    optional: bool = False


def find_marker(annotation: Any) -> DocumentedAs | None:
    """Return the marker of an annotation, or None."""
    for each in getattr(annotation, "__metadata__", ()):
        if isinstance(each, DocumentedAs):
            return each
    return None
