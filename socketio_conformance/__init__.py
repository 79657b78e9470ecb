"""Plays the dialogues of `spec-vectors/` against any Engine.IO or Socket.IO server.

It imports nothing of the servers in this repository: whom it judges, it must not know.
"""
