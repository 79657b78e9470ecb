"""The application of the workers, with plain handlers as the other servers of the benchmark."""

from __future__ import annotations

import gc

from benchmarks.servers.ours import make_server

io = make_server(handlers="sync")
# As `hextrackr-server serve` does: loaded modules stay out of garbage collections.
gc.collect()
gc.freeze()
