"""Software bills of materials (CycloneDX 1.6, JSON) of the wheel and of the executable.

A bill lists what a file contains: the wheel has packages of npm inside the page and the bundles of
the client, the executable also has an interpreter, packages of Python and shared libraries.
Packages that pip installs next to the wheel are in its metadata. The same content has the same
bytes: the serial number is computed from it, and SOURCE_DATE_EPOCH is the time.

This module uses the standard library only, because setup.py imports it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tomllib
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

ROOT: Final = Path(__file__).resolve().parent.parent
NAME: Final = "hextrackr-server"
#: The packages inside the page, written by Vite (`build.license`).
PAGE_PACKAGES: Final = "hextrackr_server/dashboard/build/licenses.json"
CLIENT_PACKAGE: Final = "socketio_core/client_dist/package.json"
#: Prints the versions of the libraries that the interpreter uses.
LIBRARY_VERSIONS: Final = """
import json, platform, pyexpat, sqlite3, ssl, zlib
print(json.dumps({
    "python": platform.python_version(),
    "openssl": ssl.OPENSSL_VERSION.split()[1],
    "sqlite": sqlite3.sqlite_version,
    "expat": pyexpat.EXPAT_VERSION.removeprefix("expat_"),
    "zlib": zlib.ZLIB_RUNTIME_VERSION,
}))
"""

Component = dict[str, Any]


def wheel_sbom(root: Path = ROOT) -> dict[str, Any]:
    """Return the bill of a wheel that is built from a folder of sources."""
    text = (root / "pyproject.toml").read_text("utf-8")
    version = tomllib.loads(text)["project"]["version"]
    return _bill(_project(version, "library"), _npm_components(root))


def executable_sbom(tree: Path) -> dict[str, Any]:
    """Return the bill of the executable that contains a tree; see scripts/binary/tree.py."""
    program = next((tree / "bin").iterdir())
    packages = next(tree.rglob(f"{NAME.replace('-', '_')}-*.dist-info")).parent
    done = subprocess.run(
        [program, "-I", "-c", LIBRARY_VERSIONS], capture_output=True, text=True, check=True
    )
    versions = json.loads(done.stdout)
    installed = sorted(distributions(path=[str(packages)]), key=lambda each: each.name.lower())
    (own,) = (each for each in installed if each.name == NAME)
    return _bill(
        _project(own.version, "application"),
        [
            *(_native_component(name, version) for name, version in sorted(versions.items())),
            *(_library_component(path) for path in sorted((tree / "lib").glob("*.so*"))),
            *(_python_component(each) for each in installed if each is not own),
            *_npm_components(packages),
        ],
    )


def serialize(bill: dict[str, Any]) -> str:
    """Return a bill as text."""
    return json.dumps(bill, indent=2, sort_keys=True) + "\n"


def _bill(project: Component, components: Iterable[Component]) -> dict[str, Any]:
    listed = list(components)
    metadata: dict[str, Any] = {"component": project}
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        metadata["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
    names = [each["bom-ref"] for each in listed]
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": listed,
        "dependencies": [
            {"ref": project["bom-ref"], "dependsOn": names},
            *({"ref": name} for name in names),
        ],
    }
    bill["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill)).urn
    return bill


def _project(version: str, kind: str) -> Component:
    return {
        "type": kind,
        "bom-ref": f"pkg:pypi/{NAME}@{version}",
        "name": NAME,
        "version": version,
        "licenses": [{"license": {"id": "MIT"}}],
    }


def _npm_components(root: Path) -> Iterator[Component]:
    """Yield the packages of npm that the files below a folder contain."""
    packages = {}
    page = root / PAGE_PACKAGES
    for each in json.loads(page.read_text("utf-8")) if page.exists() else ():
        packages[each["name"], each["version"]] = each.get("identifier")
    client = root / CLIENT_PACKAGE
    if client.exists():
        package = json.loads(client.read_text("utf-8"))
        packages["socket.io-client", package["version"]] = "MIT"
    for (name, version), license_id in sorted(packages.items()):
        purl = f"pkg:npm/{quote(name, safe='/')}@{version}"
        component = {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
        }
        if license_id:
            component["licenses"] = [{"expression": license_id}]
        yield component


def _python_component(package: Distribution) -> Component:
    purl = f"pkg:pypi/{package.name.lower().replace('_', '-')}@{package.version}"
    component = {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
    }
    expression = package.metadata["License-Expression"]
    text = package.metadata["License"] or ""
    if expression:
        component["licenses"] = [{"expression": expression}]
    elif text and "\n" not in text:
        component["licenses"] = [{"license": {"name": text}}]
    return component


def _native_component(name: str, version: str) -> Component:
    purl = f"pkg:generic/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
    }


def _library_component(path: Path) -> Component:
    """Return a shared library as a file: its name has the version of its interface only."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "type": "file",
        "bom-ref": f"file:{path.name}",
        "name": path.name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
