"""Tests of the codecs with the vectors of `spec-vectors/`."""
