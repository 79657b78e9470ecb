"""Several worker processes on one port, without sticky sessions and without a broker."""
