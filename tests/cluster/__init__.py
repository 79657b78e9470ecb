"""Clusters of this server and Node's servers with the official adapters."""
