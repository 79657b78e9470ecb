"""Benchmark of several processes: `python -m benchmarks.scale`."""
