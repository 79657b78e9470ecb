"""The same tests, against PostgreSQL."""

from tests.hextrackr_server.imports.test_history import *  # noqa: F403
