"""Log output that does not delay the event loop: limited lines, written in the background."""
