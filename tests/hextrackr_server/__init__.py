"""The tests of the application: of its services alone, then of the whole server."""
