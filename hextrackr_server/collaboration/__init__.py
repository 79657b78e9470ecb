"""Presence of editors, notifications and maintenance."""
