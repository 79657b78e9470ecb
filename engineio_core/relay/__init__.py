"""Relay of sessions between processes: gateways hold connections, an origin runs the program."""
