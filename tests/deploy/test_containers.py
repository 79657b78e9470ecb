"""The files of `deploy` without a container engine: what they copy, start and permit."""

from __future__ import annotations

import argparse
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hextrackr_server.__main__ import COMMANDS
from hextrackr_server.config import settings
from tests.deploy.containerfile import Stage, command, read_containerfile
from tests.packaging.test_installation import PACKED

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
STAGES = read_containerfile(DEPLOY / "Containerfile")
FINAL = STAGES[-1]
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
#: An image with its registry and a complete version, or a digest.
PINNED = re.compile(r"docker\.io/[\w/.-]+(:\d+\.\d+(\.\d+)?-[\w-]+|@sha256:[0-9a-f]{64})")


def parse(words: list[str]) -> argparse.Namespace:
    """Parse a command line of the image with the parser of the program."""
    assert words[0] == "hextrackr-server"
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for each in COMMANDS:
        each.add_parser(commands)
    return parser.parse_args(words[1:])


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name or "final")
def test_base_images_are_pinned(stage: Stage) -> None:
    assert PINNED.fullmatch(stage.image), stage.image


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name or "final")
def test_sources_of_copies_exist(stage: Stage) -> None:
    names = {each.name for each in STAGES}
    for origin, paths in stage.copies():
        for path in paths:
            if not origin:
                assert (ROOT / path).exists(), path
        assert not origin or origin in names


def test_environment_is_built_from_the_files_of_the_archive() -> None:
    (environment,) = (stage for stage in STAGES if stage.name == "environment")
    copied = {path for origin, paths in environment.copies() if not origin for path in paths}
    assert copied == {path.rstrip("/") for path in PACKED}


def test_ignore_file_permits_the_copied_files_only() -> None:
    text = (ROOT / ".containerignore").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "**"
    copied = {path for stage in STAGES for origin, paths in stage.copies() if not origin
              for path in paths}  # fmt: skip
    permitted = {line[1:] for line in lines if line.startswith("!")}
    assert copied - {"hextrackr_server/dashboard"} == permitted
    docker = (DEPLOY / "Containerfile.dockerignore").read_text("utf-8")
    assert docker.splitlines()[1:] == text.splitlines()[1:]


def test_final_image_runs_without_root_and_with_one_writable_folder() -> None:
    user, _, group = FINAL.last("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0
    words = [each.word for each in FINAL.instructions]
    assert "RUN" not in words[words.index("USER") :]
    assert FINAL.all("VOLUME") == ["/var/lib/hextrackr"]
    folder = Path(FINAL.environment()["DATABASE"]).parent
    assert str(folder) == "/var/lib/hextrackr"
    assert f"-o {user} -g {group}" in FINAL.last("RUN")
    assert all(origin for origin, _ in FINAL.copies()), "sources are in the build stages only"


def test_commands_of_the_image_are_commands_of_the_program() -> None:
    start = parse([*command(FINAL.last("ENTRYPOINT")), *command(FINAL.last("CMD"))])
    assert start.run.__module__ == "hextrackr_server.cli.serve"
    options, _, check = FINAL.last("HEALTHCHECK").partition("CMD ")
    assert "--start-period" in options
    health = parse(command(check))
    assert health.run.__module__ == "hextrackr_server.cli.health"
    limit = re.search(r"--timeout=(\d+)s", options)
    assert limit is not None
    assert int(limit[1]) > health.timeout
    assert FINAL.last("STOPSIGNAL") == "SIGTERM"


def test_variables_of_the_image_are_valid_settings(tmp_path: Path) -> None:
    environment = FINAL.environment() | {"JWT_SECRET": "0" * 64}
    loaded = settings.load({**environment, "DATABASE": str(tmp_path / "hub.db")})
    assert loaded.host == "0.0.0.0"
    assert str(loaded.port) == FINAL.last("EXPOSE")
    assert settings.notes(environment) == []


# -- Compose


def test_images_of_compose_are_pinned() -> None:
    for name, service in SERVICES.items():
        assert "build" in service or PINNED.fullmatch(service["image"]), name


def test_services_cannot_gain_privileges() -> None:
    for name, service in SERVICES.items():
        assert "privileged" not in service, name
        if name != "postgres":
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["read_only"] is True, name
    assert SERVICES["hub"]["cap_drop"] == ["ALL"]


def test_only_nginx_publishes_a_port() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert COMPOSE["networks"]["backend"]["internal"] is True


def test_references_of_compose_are_defined() -> None:
    for name, service in SERVICES.items():
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        for dependency, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[dependency]
        for kind in ("secrets", "configs"):
            for each in service.get(kind, []):
                source = each if isinstance(each, str) else each["source"]
                assert source in COMPOSE[kind], f"{name}: {source}"
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
    build = SERVICES["hub"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Containerfile"


def test_stop_period_is_longer_than_the_drain() -> None:
    hub = SERVICES["hub"]
    period = int(hub["stop_grace_period"].removesuffix("s"))
    assert period >= int(hub["environment"]["HEXTRACKR_SHUTDOWN_DRAIN"]) + 20


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Return the folder of secrets that a copy of `create-secrets` writes."""
    script = tmp_path / "create-secrets"
    script.write_bytes((DEPLOY / "create-secrets").read_bytes())
    script.chmod(0o755)
    done = subprocess.run([script], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "Copy the certificate to deploy/secrets/hextrackr.pem" in done.stderr
    return tmp_path / "secrets"


def test_secrets_are_those_of_compose_and_stay_when_the_script_runs_again(secrets: Path) -> None:
    assert os.access(DEPLOY / "create-secrets", os.X_OK)
    named = {each["file"].removeprefix("secrets/") for each in COMPOSE["secrets"].values()}
    written = {path.name: path.read_text() for path in secrets.iterdir()}
    assert named == {*written, "hextrackr.pem", "hextrackr.key"}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    subprocess.run(
        [secrets.parent / "create-secrets"], stderr=subprocess.DEVNULL, timeout=300, check=True
    )
    assert {path.name: path.read_text() for path in secrets.iterdir()} == written
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert "deploy/secrets/" in ignored


def test_variables_of_compose_are_valid_settings(secrets: Path) -> None:
    given = SERVICES["hub"]["environment"]
    environment = FINAL.environment() | {
        name: value.replace("/run/secrets", str(secrets)) for name, value in given.items()
    }
    loaded = settings.load(environment)
    assert settings.notes(environment) == []
    password = (secrets / "postgres_password").read_text()
    assert loaded.database_url == f"postgresql://hextrackr:{password}@postgres/hextrackr"
    assert loaded.redis_url is not None
    assert (secrets / "redis_password").read_text() in loaded.redis_url
    assert len(loaded.jwt_secret) >= settings.MINIMUM_SECRET_BYTES
    (subnet,) = COMPOSE["networks"]["edge"]["ipam"]["config"]
    assert loaded.trusted_proxies == (subnet["subnet"],)
    for name, value in given.items():
        if name.endswith("_FILE"):
            assert Path(value).name in SERVICES["hub"]["secrets"]


def test_nginx_has_the_configuration_of_the_document() -> None:
    document = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    found = re.search(r"```nginx\n(.*?)```", document, re.DOTALL)
    assert found is not None
    _, _, text = (DEPLOY / "nginx.conf").read_text("utf-8").partition("\n")
    assert text == found[1].replace("http://127.0.0.1:8090", "http://hub:8080")
    targets = {each["target"] for each in SERVICES["nginx"]["secrets"]}
    assert targets == set(re.findall(r"ssl_certificate\w*\s+(\S+);", text))
