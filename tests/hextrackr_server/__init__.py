"""Tests of the hub: its services alone, then the whole server."""
