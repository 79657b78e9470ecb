"""Wire formats of Engine.IO and WebSocket: packets, payloads and frames as pure functions."""
