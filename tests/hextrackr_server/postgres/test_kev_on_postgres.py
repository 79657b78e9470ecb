"""The same tests, against PostgreSQL."""

from tests.hextrackr_server.test_kev import *  # noqa: F403
