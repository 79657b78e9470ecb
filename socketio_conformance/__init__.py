"""Plays the dialogues of `spec-vectors/` against any Engine.IO or Socket.IO server.

The package imports no module of the servers in this repository, so that it is independent of them.
"""
