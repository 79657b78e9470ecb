"""Servers of the benchmark: each is a program of its own, and all behave alike."""
