"""scripts/client_bundles.py: sources of the bundles, and packages that it refuses."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from scripts import client_bundles
from scripts.client_bundles import BUNDLES, UnavailableError, copy_bundles, is_current, unpack
from socketio_core.client_files import NAMES

ROOT = Path(__file__).resolve().parents[2]


def install(root: Path, version: str = client_bundles.VERSION) -> Path:
    """Create a package as npm installs it."""
    package = root / "tests/interop/node_modules/socket.io-client"
    (package / "dist").mkdir(parents=True)
    for name in BUNDLES:
        (package / "dist" / name).write_text(name)
    (package / "LICENSE").write_text("MIT")
    (package / "package.json").write_text(json.dumps({"version": version}))
    return package


def test_version_and_checksum_are_those_of_the_tests_with_the_client() -> None:
    lock = json.loads((ROOT / "tests/interop/package-lock.json").read_text("utf-8"))
    package = lock["packages"]["node_modules/socket.io-client"]
    assert package["version"] == client_bundles.VERSION
    assert package["integrity"] == client_bundles.INTEGRITY


def test_bundles_are_the_files_that_the_server_serves() -> None:
    assert set(BUNDLES) == NAMES


def test_installed_package_is_copied_with_its_license(tmp_path: Path) -> None:
    install(tmp_path)
    target = tmp_path / "client_dist"
    (target / "old").mkdir(parents=True)
    assert not is_current(target)
    assert copy_bundles(target, tmp_path) == "tests/interop/node_modules/socket.io-client"
    assert is_current(target)
    assert {path.name for path in target.iterdir()} == {*BUNDLES, "LICENSE", "package.json"}
    (target / "socket.io.js").unlink()
    assert not is_current(target)


def test_package_of_another_version_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "4.0.0")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnavailableError, match="npm is not installed: install Node"):
        copy_bundles(tmp_path / "client_dist", tmp_path)
    assert not (tmp_path / "client_dist").exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 1", "npm could not download the package (no output)"),
        ("echo 'npm error network' >&2; exit 1", "the package (npm error network)"),
        ('echo x > "$5/a.tgz"', "the checksum of the package is sha512-"),
    ],
)
def test_failure_of_npm_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent))
    with pytest.raises(UnavailableError) as raised:
        copy_bundles(tmp_path / "client_dist", tmp_path)
    assert message in str(raised.value)


def test_files_of_an_archive_with_the_right_checksum_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in (*(f"dist/{each}" for each in BUNDLES), "LICENSE"):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    content = buffer.getvalue()
    with pytest.raises(UnavailableError, match="the checksum of the package is"):
        unpack(content)
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    monkeypatch.setattr(client_bundles, "INTEGRITY", f"sha512-{digest}")
    assert unpack(content)["LICENSE"] == b"LICENSE"


@pytest.mark.parametrize(("arguments", "code"), [([], 1), (["--optional"], 0)])
def test_command_reports_a_missing_package_in_one_line(
    arguments: list[str], code: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail() -> str:
        raise UnavailableError("npm is not installed")

    monkeypatch.setattr(client_bundles, "is_current", lambda: False)
    monkeypatch.setattr(client_bundles, "copy_bundles", fail)
    assert client_bundles.main(arguments) == code
    assert "do not serve /socket.io/socket.io.js until" in capsys.readouterr().err
