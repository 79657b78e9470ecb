"""Types of payloads: their fields, the check of received values, and models of pydantic."""
