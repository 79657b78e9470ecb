"""A page that connects to the server and shows its packets and events, for development."""
