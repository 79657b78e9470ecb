"""Check of the session store, common to the commands `serve` and `check`."""

from __future__ import annotations

from collections.abc import Iterator

from hextrackr_server.config.settings import Settings


def session_store_warnings(loaded: Settings) -> Iterator[str]:
    """Return a warning if the store of the sessions cannot be read at the moment.

    Raises SettingsError, which names the content of the store, if its form is not supported.
    """
    if not loaded.session_secrets:
        return
    # Imported here: it needs the dependencies of the hub.
    from hextrackr_server.security.session_store import (  # noqa: PLC0415
        StoreUnavailableError,
        session_store,
    )

    try:
        session_store(loaded).check()
    except StoreUnavailableError as error:
        yield (
            f"{error}: until it can be read, clients cannot log in by cookie; "
            "set HEXTRACKR_SESSIONS_DATABASE or HEXTRACKR_SESSIONS_URL to the store of Express"
        )
