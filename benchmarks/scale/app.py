"""The application that the workers serve; it behaves like the other servers of the benchmark."""

from __future__ import annotations

import gc

from benchmarks.servers.ours import make_server

io = make_server()
# As `hextrackr-server serve` does: loaded modules stay out of garbage collections.
gc.collect()
gc.freeze()
