"""The same tests on PostgreSQL."""

from tests.hextrackr_server.backup.test_killed_restores import *  # noqa: F403
