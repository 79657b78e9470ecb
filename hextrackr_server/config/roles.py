"""Names of the roles, without the dependencies of token verification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: All roles, from the fewest permissions to the most.
ROLES = ("user", "admin", "superadmin")


def role_named(name: Any, names: Mapping[str, str]) -> str | None:
    """Return the role for a name: a role, a key of `names`, or the value of the key `*`."""
    if not isinstance(name, str):
        return None
    return name if name in ROLES else names.get(name, names.get("*"))


def names_of_roles(texts: Iterable[str]) -> dict[str, str]:
    """Return the roles by their further names, from texts `name=role`."""
    return {name: role for name, _, role in (text.rpartition("=") for text in texts)}
