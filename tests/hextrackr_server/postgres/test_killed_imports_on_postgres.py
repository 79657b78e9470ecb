"""The same tests on PostgreSQL."""

from tests.hextrackr_server.imports.test_killed_imports import *  # noqa: F403
