"""Errors of TLS files contain the names of the files, for servers and clients."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from engineio_core.client.options import ClientTls
from engineio_core.http.listener import Tls

TLS = Path(__file__).parents[2] / "helpers" / "tls"
FIRST, FIRST_KEY, SECOND_KEY = (
    TLS / f"{each}.pem" for each in ("first", "first.key", "second.key")
)
PARTS = "must be PEM files that belong together"
CERTIFICATES = "must be a PEM file with certificates, got "


def make_text(folder: Path) -> Path:
    """Return a file that is not in PEM format."""
    file = folder / "text.pem"
    file.write_text("nonsense")
    return file


def make_der(folder: Path) -> Path:
    """Return a certificate in the binary form."""
    file = folder / "first.der"
    file.write_bytes(ssl.PEM_cert_to_DER_cert(FIRST.read_text("ascii")))
    return file


@pytest.mark.parametrize("make_file", [make_text, make_der, lambda _: FIRST_KEY, lambda each: each],
                         ids=["text", "der", "key", "folder"])  # fmt: skip
def test_authority_of_a_client_is_named_when_its_file_has_no_certificates(
    make_file: Callable[[Path], Path], tmp_path: Path
) -> None:
    file = make_file(tmp_path)
    with pytest.raises(OSError, match=re.escape(f"the TLS ca {CERTIFICATES}{str(file)!r}: ")):
        ClientTls(ca=file).make_context()


@pytest.mark.parametrize("options", [Tls, ClientTls])
def test_certificate_and_key_are_named_when_they_do_not_belong_together(
    options: type[Tls | ClientTls],
) -> None:
    tls = options(certificate=FIRST, key=SECOND_KEY)
    expected = f"certificate {str(FIRST)!r} and key {str(SECOND_KEY)!r} {PARTS}: "
    with pytest.raises(ssl.SSLError, match=re.escape(expected)):
        tls.make_context()


@pytest.mark.parametrize("options", [Tls, ClientTls])
def test_certificate_is_named_when_it_has_been_deleted(
    options: type[Tls | ClientTls], tmp_path: Path
) -> None:
    file = tmp_path / "own.pem"
    file.write_bytes(FIRST.read_bytes() + FIRST_KEY.read_bytes())
    tls = options(certificate=file)
    tls.make_context()
    file.unlink()
    expected = f"certificate {str(file)!r} and key {str(file)!r} {PARTS}: No such file"
    with pytest.raises(FileNotFoundError, match=re.escape(expected)):
        tls.make_context()
