"""The decorator of classes that stay open for subclasses in a compiled build.

A class of a compiled module rejects subclasses in Python code without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_: Any) -> Any:
        """Return a decorator without effect; mypyc reads its arguments, and Python needs none."""
        return lambda decorated: decorated


__all__ = ["mypyc_attr"]
