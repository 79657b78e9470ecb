"""The same tests on PostgreSQL."""

from tests.hextrackr_server.imports.test_pipeline import *  # noqa: F403
