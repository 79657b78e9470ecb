"""HexTrackr's realtime hub: imports of vulnerabilities, live progress, and statistics.

This module contains the version only; `application` assembles the hub.
"""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("hextrackr-server")

__all__ = ["__version__"]
