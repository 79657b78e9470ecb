"""The same tests, against PostgreSQL."""

from tests.hextrackr_server.test_maintenance_store import *  # noqa: F403
