"""Instrumentation of a server for the official admin UI, `@socket.io/admin-ui` 0.5.1."""
