"""Load next to Node: idle connections, acked events, reconnections and delivery without gaps."""
