"""The adapter over LISTEN and NOTIFY of PostgreSQL."""
