"""The same tests on PostgreSQL."""

from tests.hextrackr_server.imports.test_sample_imports import *  # noqa: F403
