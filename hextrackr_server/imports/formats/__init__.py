"""Formats of scanner exports: profiles as data, detection, and the mapping of rows to findings."""
