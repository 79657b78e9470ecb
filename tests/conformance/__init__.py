"""Tests of the conformance kit, and its results for the echo servers of this project."""
