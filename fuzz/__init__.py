"""Fuzz targets: one program per parser that feeds it with mutated input and checks invariants."""
