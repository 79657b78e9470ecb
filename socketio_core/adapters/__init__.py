"""Adapters: rooms, broadcasting and connection state recovery."""
