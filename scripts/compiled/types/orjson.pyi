from collections.abc import Callable
from typing import Any

OPT_NON_STR_KEYS: int
OPT_PASSTHROUGH_DATETIME: int

def dumps(
    value: Any, default: Callable[[Any], Any] | None = ..., option: int | None = ...
) -> bytes: ...
def loads(text: bytes | str) -> Any: ...
