"""Socket.IO event handlers, one module per group of events."""
