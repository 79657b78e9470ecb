"""The same tests, against PostgreSQL."""

from tests.hextrackr_server.test_notification_store import *  # noqa: F403
