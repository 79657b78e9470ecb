"""The same tests, against PostgreSQL."""

from tests.hextrackr_server.test_importer import *  # noqa: F403
