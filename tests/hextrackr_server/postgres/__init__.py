"""The tests of the stores once more, against PostgreSQL."""
