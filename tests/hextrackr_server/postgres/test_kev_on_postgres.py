"""The same tests, against PostgreSQL."""

from tests.hextrackr_server.kev.test_service import *  # noqa: F403
