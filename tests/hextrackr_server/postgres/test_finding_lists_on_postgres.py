"""The same tests on PostgreSQL."""

from tests.hextrackr_server.findings.test_finding_lists import *  # noqa: F403
