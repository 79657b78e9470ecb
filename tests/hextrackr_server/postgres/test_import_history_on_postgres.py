"""The same tests, against PostgreSQL."""

from tests.hextrackr_server.test_import_history import *  # noqa: F403
