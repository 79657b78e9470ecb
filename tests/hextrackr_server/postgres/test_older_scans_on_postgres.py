"""The same tests on PostgreSQL."""

from tests.hextrackr_server.imports.test_older_scans import *  # noqa: F403
