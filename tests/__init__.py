"""Tests of all packages; `tests.helpers` contains the shared helpers."""
