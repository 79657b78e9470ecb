"""Loads PEM files into SSL contexts; an error of the SSL library does not contain the file names.

Checks of options, such as whether a file is readable, are the responsibility of `listener.Tls` and
`client.options.ClientTls`.
"""

from __future__ import annotations

from pathlib import Path
from ssl import SSLContext


def load_certificate(
    context: SSLContext, certificate: str | Path, key: str | Path | None, password: str | None
) -> None:
    """Load a certificate chain and its key. Raises SSLError or OSError with the names of both."""
    try:
        context.load_cert_chain(certificate, key, password)
    except OSError as error:
        raise _explain(
            error,
            f"certificate {str(certificate)!r} and key {str(key or certificate)!r} must be PEM "
            "files that belong together",
        ) from error


def load_authorities(context: SSLContext, ca: str | Path) -> None:
    """Trust the certificates of a file. Raises SSLError or OSError with the name of the file."""
    try:
        context.load_verify_locations(ca)
    except OSError as error:
        rule = f"the TLS ca must be a PEM file with certificates, got {str(ca)!r}"
        raise _explain(error, rule) from error


def _explain(error: OSError, rule: str) -> OSError:
    """Return an error of the same class, such as SSLError, whose message starts with a rule."""
    return type(error)(error.errno, f"{rule}: {error.strerror}")
