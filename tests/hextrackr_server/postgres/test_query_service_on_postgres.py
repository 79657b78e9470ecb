"""The same tests on PostgreSQL."""

from tests.hextrackr_server.findings.test_queries import *  # noqa: F403
