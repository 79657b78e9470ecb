"""Build of one executable file that contains the hub, an interpreter and all packages.

`tree` collects the files, `bundle` appends them to the launcher (`launcher.c`), and `__main__` is
the command of `make binary`. docs/binary.md describes the result, ARCHITECTURE.md the reasons.
"""
