"""Tests of the benchmark: its servers behave alike, and the hot path stays within its budget."""
