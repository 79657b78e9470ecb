"""Faults of processes, disks, clocks, networks, databases and brokers, and their outcomes."""
