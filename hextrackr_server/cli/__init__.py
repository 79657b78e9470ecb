"""Commands of the `hextrackr-server` console script, one module each."""
