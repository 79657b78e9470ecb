"""Backups of the hub's data: one format for SQLite and PostgreSQL, and the way back."""
