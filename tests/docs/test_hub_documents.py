"""The documents of the hub name every event, path and variable as the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hextrackr_server.application import Application
from hextrackr_server.config import settings
from hextrackr_server.config.settings import Settings
from tests.deploy.containerfile import read_containerfile
from tests.docs.blocks import ROOT, blocks_of, documents
from tests.docs.test_shell_blocks import known_variables

#: Variables that the documents set for other programs, and that of the executable (scripts/binary).
OTHER_VARIABLES = {"HEXTRACKR_REALTIME_URL", "HEXTRACKR_UNPACK_DIR", "HEXTRACKR_VERSION"}


def first_cells(document: str, heading: str) -> set[str]:
    """Return the code spans in the first column of the tables of a section."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return {name for line in lines for name in re.findall(r"`([^`]+)`", line.split("|")[1])}


async def test_client_guide_lists_every_event_that_the_hub_handles(tmp_path: Path) -> None:
    application = Application(Settings(port=0, database=tmp_path / "hub.db", jwt_secret=b"s" * 32))
    handled = {name for path in ("/", "/admin") for name in application.io.of(path).event_names()}
    application.database.close()
    assert handled
    assert handled <= first_cells("clients.md", "Events from the client")


def test_client_guide_lists_events_of_the_hub_or_its_contract_tests() -> None:
    # The hub composes some names; the contract tests contain these as literals.
    files = [*(ROOT / "hextrackr_server").rglob("*.py"), *(ROOT / "tests/contract").glob("*.py")]
    source = "".join(path.read_text("utf-8") for path in files)
    events = first_cells("clients.md", "Events from the server")
    assert len(events) > 15
    for event in events:
        assert f'"{event}"' in source, event


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.name)
def test_documents_name_existing_variables(document: Path) -> None:
    text = document.read_text("utf-8")
    names = set(re.findall(r"\bHEXTRACKR_[A-Z_]*[A-Z]\b", text)) - OTHER_VARIABLES
    assert names <= known_variables()


def test_container_of_the_express_document_has_valid_settings() -> None:
    blocks = blocks_of(ROOT / "docs" / "express-shim.md")
    (text,) = [block.text for block in blocks if block.language == "yaml"]
    compose = yaml.safe_load(text)
    (service,) = compose["services"].values()
    variables: dict[str, str] = service["environment"]
    # YAML reads an unquoted number or address as another type.
    assert all(isinstance(value, str) for value in variables.values())
    mounts = [volume.split(":")[0] for volume in service["volumes"]]
    named = {mount for mount in mounts if not mount.startswith((".", "/"))}
    assert named == set(compose["volumes"])
    targets = [volume.split(":")[1] for volume in service["volumes"]]
    assert service["build"]["dockerfile"] == "deploy/Containerfile"
    image = read_containerfile(ROOT / "deploy" / "Containerfile")[-1].environment()
    for path in (image["DATABASE"], variables["HEXTRACKR_SESSIONS_DATABASE"]):
        assert str(Path(path).parent) in targets
    assert "ports" not in service
    assert "command" not in service, "the image serves by default"
    secret = "0123456789abcdef" * 2
    environment = {
        # HexTrackr's environment file
        **image,
        "PORT": "8080",
        "HEXTRACKR_VERSION": "1.1.12",
        **{name: re.sub(r"\$\{\w+\}", secret, value) for name, value in variables.items()},
    }
    loaded = settings.load(environment)
    assert (loaded.host, loaded.port) == ("0.0.0.0", 8090)
    assert loaded.trusted_proxies == ("172.16.0.0/12",)
    assert {"progress", "admin"} <= set(loaded.ingest_tokens[0].scopes)
    # The ports of nginx and of the shim are the port of the hub.
    assert "http://realtime:8090" in (ROOT / "docs" / "express-shim.md").read_text("utf-8")
    shim = (ROOT / "examples" / "express" / "realtime.js").read_text("utf-8")
    assert '"http://127.0.0.1:8090"' in shim
