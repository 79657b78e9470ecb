"""The same tests on PostgreSQL."""

from tests.hextrackr_server.kev.test_service import *  # noqa: F403
