"""Models of pydantic as values to send; this module does not import pydantic."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


def dump_model(value: Any) -> Any:
    """Return the content of a model with its aliases. Raises TypeError for another value.

    Its values have their JSON form, unless the model contains bytes, which become attachments.
    """
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if serializer is None:
        raise TypeError(f"a value of type {type(value).__name__} cannot be sent")
    mode = "python" if _has_bytes(value.__class__) else "json"
    return serializer.to_python(value, mode=mode, by_alias=True)


@lru_cache(maxsize=1024)
def _has_bytes(kind: type) -> bool:
    """Return whether a field of a model, or of a model inside it, contains bytes."""
    return "'type': 'bytes'" in repr(getattr(kind, "__pydantic_core_schema__", ""))
