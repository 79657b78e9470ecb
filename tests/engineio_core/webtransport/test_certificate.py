"""The development certificate: the rules of browsers for hashes, and its renewal."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from engineio_core.webtransport import certificate as module
from engineio_core.webtransport.certificate import development_certificate


def test_certificate_satisfies_the_rules_for_hashes(tmp_path: Path) -> None:
    made = development_certificate(tmp_path / "new folder", ["localhost", "127.0.0.1"])
    text = Path(made.tls.certificate).read_text()
    assert made.sha256 == hashlib.sha256(PEM_cert_to_DER_cert(text)).digest()
    found = x509.load_pem_x509_certificate(text.encode())
    key = found.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert found.not_valid_after_utc - found.not_valid_before_utc <= timedelta(days=14)
    assert made.tls.key is not None
    assert Path(made.tls.key).stat().st_mode & 0o077 == 0


def test_certificate_is_kept_until_it_expires_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = development_certificate(tmp_path)
    assert development_certificate(tmp_path) == first
    monkeypatch.setattr(module, "_RENEW_BEFORE", timedelta(days=20))
    assert development_certificate(tmp_path).sha256 != first.sha256


def test_unreadable_certificate_is_replaced(tmp_path: Path) -> None:
    made = development_certificate(tmp_path)
    Path(made.tls.certificate).write_text("not a certificate")
    assert development_certificate(tmp_path).sha256 != made.sha256
