"""What the tests share: time, TCP and clients without a socket."""
