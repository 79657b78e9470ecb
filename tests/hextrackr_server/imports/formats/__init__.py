"""Tests of the scanner formats."""

import pytest

# pytest shows the values of a failed assertion only for modules that it rewrites.
pytest.register_assert_rewrite(f"{__name__}.exports")
