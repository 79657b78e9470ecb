"""The client of Engine.IO, protocol 4: polling, WebSocket, the upgrade and the heartbeat."""
