"""Read a password and print its bcrypt hash: `python -m socketio_core.admin`."""

from __future__ import annotations

import sys
from getpass import getpass

from socketio_core.admin.credentials import hash_password


def main() -> int:
    """Return the exit code: 1 without a password, or if the two inputs differ."""
    try:
        password = getpass("Password: ")
        if not password or getpass("Again: ") != password:
            print("the password is empty, or the two inputs differ", file=sys.stderr)
            return 1
        print(hash_password(password))
    except RuntimeError as error:  # bcrypt is not installed
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
