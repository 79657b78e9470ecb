"""The same tests, against PostgreSQL."""

from tests.hextrackr_server.test_query_service import *  # noqa: F403
