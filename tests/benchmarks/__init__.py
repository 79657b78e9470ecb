"""The benchmark's own tests: what it compares is comparable, and the hot path stays short."""
