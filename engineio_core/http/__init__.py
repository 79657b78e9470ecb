"""HTTP/1.1 for Engine.IO: connections, messages, CORS, compression, proxies and listeners."""
