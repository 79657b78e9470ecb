"""The adapters and the emitter on a real Redis server."""
