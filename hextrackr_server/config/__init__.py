"""Settings: their names, defaults, parsers and sources."""
