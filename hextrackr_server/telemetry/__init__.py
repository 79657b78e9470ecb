"""Metrics, log setup and the event log."""
