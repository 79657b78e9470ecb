"""Import of scanner exports: reading, mapping, staging, merging and progress."""
