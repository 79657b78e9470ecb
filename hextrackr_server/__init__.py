"""HexTrackr's realtime hub: vulnerability imports, watched live, and their statistics.

Knows: its own version.  Does not know: anything else; `application` wires the parts.
"""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("hextrackr-server")

__all__ = ["__version__"]
