"""Retention: deletes history and imports that the settings do not keep."""
