"""What clients may say over a socket: thin functions over the services.

Knows: names of events, shapes of arguments.  Does not know: how anything is done.
Each module has `register(io, ...)`, called once by `application`.
"""
