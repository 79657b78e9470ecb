"""The engine as a guest of an ASGI server, such as uvicorn, hypercorn or granian."""
