"""The same tests on PostgreSQL."""

from tests.hextrackr_server.imports.test_absence import *  # noqa: F403
