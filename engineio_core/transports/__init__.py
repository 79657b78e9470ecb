"""Transports of a session: HTTP long-polling and WebSocket."""
