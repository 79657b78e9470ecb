"""Tests of the instrumentation for the admin UI."""
