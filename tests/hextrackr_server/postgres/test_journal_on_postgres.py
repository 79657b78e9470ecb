"""The same tests on PostgreSQL."""

from tests.hextrackr_server.imports.test_journal import *  # noqa: F403
