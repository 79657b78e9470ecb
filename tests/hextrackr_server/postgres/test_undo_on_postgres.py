"""The same tests on PostgreSQL."""

from tests.hextrackr_server.imports.test_undo import *  # noqa: F403
