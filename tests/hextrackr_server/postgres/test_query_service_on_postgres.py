"""The same tests, against PostgreSQL."""

from tests.hextrackr_server.findings.test_queries import *  # noqa: F403
