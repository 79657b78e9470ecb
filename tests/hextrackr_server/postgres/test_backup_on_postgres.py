"""The same tests on PostgreSQL."""

from tests.hextrackr_server.backup.test_backup import *  # noqa: F403
