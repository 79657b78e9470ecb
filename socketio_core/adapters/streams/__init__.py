"""The adapter over Redis Streams, with recovery on every server."""
