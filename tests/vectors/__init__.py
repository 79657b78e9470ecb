"""The vectors of `spec-vectors/`, run against our codecs."""
