"""The same tests on PostgreSQL."""

from tests.hextrackr_server.collaboration.test_maintenance_store import *  # noqa: F403
