"""Configuration blocks of the documentation are valid.

`tests/proxies` runs the configurations of reverse proxies, or checks them with their programs.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from hextrackr_server.config import settings
from socketio_core.adapters.postgres.statements import Statements
from tests.docs.blocks import CodeBlock, blocks
from tests.docs.test_shell_blocks import check_command
from tests.helpers.redis_server import running_redis


@pytest.mark.parametrize(
    "block",
    # The mapping in docs/formats.md has a test in test_formats_document.py.
    [block for block in blocks("toml") if block.document.name != "formats.md"],
    ids=str,
)
def test_toml_block_contains_valid_settings(block: CodeBlock, tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(block.text)
    loaded = settings.load({}, {"config": str(file)})
    for name in tomllib.loads(block.text):
        assert getattr(loaded, name) != getattr(settings.Settings(), name)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_block_is_valid(block: CodeBlock) -> None:
    assert json.loads(block.text)


def read_ini(text: str) -> list[str]:
    """Return the sections of a configuration, and check the commands of a unit of systemd."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]  # keeps the case of names
    parser.read_string(text)
    for section in parser.values():
        if command := section.get("ExecStart"):
            check_command(command.partition(".venv/bin/")[2].split())
    return parser.sections()


@pytest.mark.parametrize("block", blocks("yaml", "ini"), ids=str)
def test_configuration_block_is_valid(block: CodeBlock) -> None:
    assert yaml.safe_load(block.text) if block.language == "yaml" else read_ini(block.text)


def normalized(sql: str) -> str:
    """Return a statement with single spaces, without names of tables and spaces in parentheses."""
    text = re.sub(r"\s+", " ", sql).strip().rstrip(";")
    return re.sub(r"\s*([()])\s*", r"\1", text).replace("IF NOT EXISTS ", "")


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_sql_block_creates_the_table_of_the_adapter(block: CodeBlock) -> None:
    statements = Statements("socketio", "socketio_messages")
    created = statements.create.as_string(None).replace('"', "")
    assert normalized(block.text) == normalized(created)


@pytest.mark.redis
@pytest.mark.parametrize("block", blocks("redis"), ids=str)
def test_redis_accepts_the_access_rules(block: CodeBlock, tmp_path: Path) -> None:
    file = tmp_path / "users.acl"
    # Redis refuses to start with an invalid file.
    file.write_text(f"user default on nopass +@all ~* &*\n{block.text}")
    with running_redis(tmp_path, "--aclfile", str(file)) as server:
        assert server.port
