"""Types of the payloads of events, for TypeScript and documents; `declared` has the events."""
