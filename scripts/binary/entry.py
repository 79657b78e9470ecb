"""Start of the hub inside the executable of `make binary`; installed there as `hextrackr_binary`.

The launcher passes its own name as the first argument.
"""

from __future__ import annotations

import os
import sys

#: Root certificates of Debian, Fedora, openSUSE, Alpine. The bundled OpenSSL has the paths of the
#: system on which the executable was built.
CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def use_system_certificates() -> None:
    """Select the root certificates of this system, unless the user has selected others."""
    if not {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys():
        found = next((path for path in CERTIFICATES if os.path.isfile(path)), None)
        if found:
            os.environ["SSL_CERT_FILE"] = found


def main() -> int:
    """Run the command line with the name of the executable as its program."""
    sys.argv[:] = sys.argv[1:]
    use_system_certificates()
    from hextrackr_server.__main__ import main as run  # noqa: PLC0415

    return run()


if __name__ == "__main__":
    sys.exit(main())
