"""Descriptions of a server's events for other programs: JSON Schema, TypeScript, AsyncAPI."""
