"""Benchmarks of this server, Node's socket.io and python-socketio: `python -m benchmarks`."""
