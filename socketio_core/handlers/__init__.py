"""Event handlers: registration, dispatch and the event pipeline."""
