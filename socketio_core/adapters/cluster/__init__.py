"""Adapters that exchange cluster messages with other servers, over any transport."""
