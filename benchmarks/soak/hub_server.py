"""The observed hub, with files in a folder, and its database there or on PostgreSQL.

python -m benchmarks.soak.hub_server FOLDER RECOVERY_SECONDS [DATABASE_URL]

The limits of kept data are low, so that kept imports, uploads and snapshots reach them during the
warm-up. The heap is that of `hextrackr-server serve`.
"""

from __future__ import annotations

import gc
import secrets
import sys
from pathlib import Path

import uvloop

from benchmarks.soak.observation import serve_observed
from hextrackr_server.application import Application
from hextrackr_server.config.settings import Settings
from hextrackr_server.storage.free_memory import use_one_arena
from hextrackr_server.telemetry import log_setup


async def main() -> None:
    """Serve until the standard input ends; the limits per minute do not apply to the load."""
    folder = Path(sys.argv[1])
    application = Application(
        Settings(
            host="127.0.0.1", port=0, database=folder / "hub.db",
            database_url=sys.argv[3] if len(sys.argv) > 3 else None,
            jwt_secret=secrets.token_bytes(32), recovery_seconds=float(sys.argv[2]),
            recovery_clients="all", ping_interval=4.0, ping_timeout=4.0, shutdown_drain=0.0,
            connects_per_minute=1_000_000, events_per_minute=1_000_000,
            events_per_minute_of_address=10_000_000, refusals_before_disconnect=100_000,
            max_connections_per_user=10_000, uploads_kept_seconds=60.0, uploads_kept=20,
            editing_grace_seconds=2.0, imports_kept=50, snapshots_kept=2,
            metrics_token=b"m" * 32, event_log=folder / "events.jsonl",
        )
    )  # fmt: skip
    authority = application.services.authority
    tokens = {f"token{number}": authority.sign(str(number), role="admin") for number in range(4)}
    await serve_observed(application.listen, **tokens)
    await application.shutdown()


if __name__ == "__main__":
    log_setup.configure("human", level=30)
    use_one_arena()
    gc.collect()
    gc.freeze()
    uvloop.run(main())
