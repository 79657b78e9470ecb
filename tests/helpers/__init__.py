"""Shared test helpers: a manual clock, TCP without a network, and clients without sockets."""
