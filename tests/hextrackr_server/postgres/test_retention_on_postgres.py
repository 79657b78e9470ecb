"""The same tests on PostgreSQL."""

from tests.hextrackr_server.retention.test_retention import *  # noqa: F403
