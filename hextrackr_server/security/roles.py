"""Names of the roles, without the dependencies of token verification."""

from __future__ import annotations

#: All roles, from the fewest permissions to the most.
ROLES = ("user", "admin", "superadmin")
