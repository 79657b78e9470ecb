"""The servers that are compared: one process each, the same behaviour, startable alone."""
