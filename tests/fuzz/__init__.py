"""Tests of the fuzz targets: a short run of each, and of the programs around them."""
