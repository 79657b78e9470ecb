"""The same tests on PostgreSQL."""

from tests.hextrackr_server.collaboration.test_notification_store import *  # noqa: F403
