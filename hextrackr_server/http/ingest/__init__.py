"""HTTP endpoints for producers that report progress and changes."""
