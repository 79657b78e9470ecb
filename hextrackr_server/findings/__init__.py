"""Stored findings: queries, statistics, history and change events."""
