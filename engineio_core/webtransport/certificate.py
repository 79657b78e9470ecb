"""Certificates for development, which a page accepts by their hash.

A browser accepts a self-signed certificate for WebTransport if the page names its hash: ECDSA with
P-256, and valid for at most 14 days (W3C WebTransport, "custom certificate requirements").
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engineio_core.http.listener import Tls

VALID_FOR: Final = timedelta(days=13)
# A certificate with less remaining time is replaced.
_RENEW_BEFORE: Final = timedelta(days=1)
_BACKDATED: Final = timedelta(hours=1)  # for clocks that differ


@dataclass(frozen=True, slots=True)
class DevelopmentCertificate:
    """A self-signed certificate and its files."""

    tls: Tls
    """The files, for `listen_webtransport(ssl=...)`."""

    sha256: bytes
    """The hash of the certificate, which a page passes to the browser."""

    @property
    def base64(self) -> str:
        """The hash in base64, for a template or a JSON response."""
        return b64encode(self.sha256).decode()


def development_certificate(
    folder: str | Path, hosts: Collection[str] = ("localhost", "127.0.0.1", "::1")
) -> DevelopmentCertificate:
    """Return the certificate in a folder; create or replace it if it is missing or expires soon.

    The certificate is for development only: a page must pass its hash in `serverCertificateHashes`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    certificate_file = folder / "webtransport.pem"
    key_file = folder / "webtransport-key.pem"
    certificate = _read(certificate_file) if key_file.exists() else None
    now = datetime.now(UTC)
    if certificate is None or certificate.not_valid_after_utc - now < _RENEW_BEFORE:
        certificate, key = _create(hosts, now)
        # Only the user may read the key.
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
        certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return DevelopmentCertificate(
        Tls(certificate=certificate_file, key=key_file), certificate.fingerprint(SHA256())
    )


def _read(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _create(hosts: Collection[str], now: datetime) -> tuple[x509.Certificate, bytes]:
    """Return a self-signed certificate, and its key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "development")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now - _BACKDATED + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName([_name_host(each) for each in hosts]), False)
        .sign(key, SHA256())
    )
    return certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name_host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
