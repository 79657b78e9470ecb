"""Database access: backends, schema, migrations and the background writer."""
