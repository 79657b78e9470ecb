"""The targets, one module each; every module has a `TARGET`."""
