"""The generator of all random ids: session ids (sid), socket ids and recovery ids."""

from __future__ import annotations

import secrets


def generate_id() -> str:
    """Return an unguessable id: 20 characters of `[A-Za-z0-9_-]`, 120 random bits.

    Load balancers with sticky sessions recognize this form.
    """
    return secrets.token_urlsafe(15)
