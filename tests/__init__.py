"""The tests of all three packages; `tests.helpers` is what they share."""
