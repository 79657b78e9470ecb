"""What this server costs, measured beside its peers: `python -m benchmarks`."""
