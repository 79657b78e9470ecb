"""Tests of the stores, repeated on PostgreSQL."""
