"""The same tests on PostgreSQL."""

from tests.hextrackr_server.imports.test_forecast import *  # noqa: F403
