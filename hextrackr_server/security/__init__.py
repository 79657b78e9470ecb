"""Authentication, producer tokens, rate limits and idempotency keys."""
