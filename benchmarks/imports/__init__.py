"""Measurements of imports and of queries over imported findings, each with its goal."""
