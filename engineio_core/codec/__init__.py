"""Wire formats of Engine.IO and WebSocket, without I/O: packets, payloads and frames."""
