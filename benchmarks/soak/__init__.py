"""Servers under hours of arriving and leaving clients: nothing of a server may grow."""
