"""The hub in several processes: gateways hold connections, one process runs the application."""
