"""WebTransport: a stream of an HTTP/3 connection as a transport; needs the extra `webtransport`."""
