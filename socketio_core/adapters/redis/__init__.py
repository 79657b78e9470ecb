"""Adapters over the publish/subscribe channels of Redis and Valkey: classic and sharded."""
