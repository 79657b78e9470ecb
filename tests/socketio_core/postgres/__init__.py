"""The PostgreSQL adapter on a real PostgreSQL server."""
