"""The entry point of `python -m socketio_core`."""

from __future__ import annotations

import sys

from socketio_core.command import main

if __name__ == "__main__":
    sys.exit(main())
