"""The same tests on PostgreSQL."""

from tests.hextrackr_server.findings.test_totals import *  # noqa: F403
