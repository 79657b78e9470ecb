"""The same tests on PostgreSQL."""

from tests.hextrackr_server.imports.test_history import *  # noqa: F403
