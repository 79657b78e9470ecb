"""Tests of the sources of settings and the errors that name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError

SECRET = "s" * 32


def test_sources_apply_in_order_flags_prefixed_variables_plain_variables_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 1\nhost = "::1"\nmax_rooms = 9\ncors_origins = ["https://a.example"]\n')
    environment = {
        "JWT_SECRET": SECRET,
        "HEXTRACKR_CONFIG": str(file),
        "PORT": "2",
        "HOST": "127.0.0.2",
        "HEXTRACKR_PORT": "3",
    }
    chosen = settings.load(environment)
    assert (chosen.port, chosen.host, chosen.max_rooms) == (3, "127.0.0.2", 9)
    assert chosen.cors_origins == ("https://a.example",)
    assert settings.load(environment, {"port": 4}).port == 4


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("HEXTRACKR_PROT", "HEXTRACKR_PORT"),
        ("HEXTRACKR_JWT_SECRT", "HEXTRACKR_JWT_SECRET"),
        ("HEXTRACKR_JWT_SECRETFILE", "HEXTRACKR_JWT_SECRET_FILE"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest_name(name: str, near: str) -> None:
    with pytest.raises(SettingsError, match=f"did you mean {near}"):
        settings.load({"JWT_SECRET": SECRET, name: "x"})


def test_variables_of_hextrackr_are_ignored_with_a_note() -> None:
    environment = {
        "JWT_SECRET": SECRET,
        "HEXTRACKR_VERSION": "1.1.12",
        "HEXTRACKR_REALTIME_URL": "http://hub:8080",
        "HEXTRACKR_INGEST_TOKEN": "t" * 32,
        "HEXTRACKR_INGEST_TOKENS": "express:notify:" + "t" * 32,
    }
    assert settings.load(environment).jwt_secret == SECRET.encode()
    notes = settings.notes(environment)
    assert [note.partition(" is ignored")[0] for note in notes] == [
        "HEXTRACKR_VERSION",
        "HEXTRACKR_REALTIME_URL",
        "HEXTRACKR_INGEST_TOKEN",
    ]
    assert "t" * 32 not in "".join(notes)
    assert settings.notes({"JWT_SECRET": SECRET}) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("HEXTRACKR_INGEST_TOKEN", "HEXTRACKR_INGEST_TOKENS"),
        ("HEXTRACKR_VERSIONS", ""),
    ],
)
def test_near_misses_of_ignored_variables_are_refused(name: str, near: str) -> None:
    with pytest.raises(SettingsError, match=f"unknown variable '{name}'.*{near}"):
        settings.load({"JWT_SECRET": SECRET, "HEXTRACKR_VERSION": "1.1.12", name: "x"})


def test_unknown_key_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("ping_intervall = 5\n")
    with pytest.raises(SettingsError, match="did you mean ping_interval"):
        settings.load({"JWT_SECRET": SECRET}, {"config": str(file)})


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("PORT", "port"),
        ("HEXTRACKR_IMPORT_INBOX", "import_inbox"),
        ("CORS_ORIGIN", "cors_origins"),
        ("session_secret", "session_secrets"),
    ],
)
def test_key_named_like_a_variable_is_refused_with_the_key(
    tmp_path: Path, key: str, near: str
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f"{key} = 5\n")
    with pytest.raises(SettingsError, match=f"did you mean {near}\\?"):
        settings.load({"JWT_SECRET": SECRET}, {"config": str(file)})


def test_unknown_name_is_refused_without_a_suggestion_when_none_is_near(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[server]\nport = 5\n")
    for environment, flags in (({}, {"config": str(file)}), ({"HEXTRACKR_ZZZZZZ": "x"}, {})):
        with pytest.raises(SettingsError, match=r"remove it .`hextrackr-server check` lists"):
            settings.load({"JWT_SECRET": SECRET} | environment, flags)


@pytest.mark.parametrize(
    "content", [None, "port = ", b"\xff", "port = 1" + "0" * 5000], ids=range(4)
)
def test_unreadable_settings_file_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes | None
) -> None:
    file = tmp_path / "settings.toml"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SettingsError, match="the settings file") as refusal:
        settings.load({"JWT_SECRET": SECRET}, {"config": str(file)})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HEXTRACKR_STRICT_HTTP_AUTH", "perhaps", "must be true or false"),
        ("HEXTRACKR_PING_INTERVAL", "90", "from 1 to 60"),
        ("HEXTRACKR_PING_INTERVAL", "nan", "from 1 to 60"),
        ("HEXTRACKR_MAX_ROOMS", "3", "from 4 to 10000"),
        ("TRUSTED_PROXIES", "10.0.0.0/33", "must list networks"),
        ("CORS_ORIGIN_PATTERN", "(", "must be a regular expression"),
        ("REDIS_URL", "http://redis", "redis://"),
        ("SESSION_COOKIE", "a;b", "must be 1 to 64 letters"),
        ("NODE_ENV", "prod", "must be one of"),
        ("SESSION_SECRET", "short", "at least 32 bytes, got 5"),
        ("JWT_PUBLIC_KEY", "x", "public key in PEM"),
        ("JWT_ALGORITHMS", "none", "must list some of"),
        ("JWT_ALGORITHMS", "RS256", "set JWT_PUBLIC_KEY_FILE"),
        ("SSL_KEY_PATH", "/x", "must be set together"),
        ("HEXTRACKR_INGEST_TOKENS", "express:fly:" + SECRET, "name:scopes:secret"),
        ("HEXTRACKR_INGEST_TOKENS", "express:notify:short", "at least 32 bytes, got 5"),
        ("HOST", "a\nb", "a text on one line"),
        ("HEXTRACKR_KEV_TIME", "06:30", "such as 06:30 Europe/Berlin: '06:30' is not a time with"),
        ("HEXTRACKR_KEV_TIME", "24:00 UTC", "is not a time with a time zone"),
        ("HEXTRACKR_KEV_TIME", "06:30 Europe/Atlantis", "unknown time zone 'Europe/Atlantis'"),
        ("HEXTRACKR_ROLE_NAMES", "manager=root", "must list name=role with a role of user, admin"),
        ("HEXTRACKR_SESSIONS_URL", "mysql://:password@db/x", "must be a URL such as postgresql"),
        ("HEXTRACKR_ROLE_NAMES", "manager", "got 'manager'"),
        ("HEXTRACKR_JWT_USER_CLAIMS", " , ", "must list at least one name"),
        ("HEXTRACKR_KEV_TIME", "06:30 ../../etc/passwd", "unknown time zone"),
        ("HEXTRACKR_KEV_TIME", "06:30 Europe", "unknown time zone 'Europe'"),
    ],
)
def test_invalid_value_is_refused_with_its_name(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refusal:
        settings.load({"JWT_SECRET": SECRET, variable: value})
    assert "\n" not in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_secret_file_may_contain_a_list(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{'a' * 32},{'b' * 32}\n")
    chosen = settings.load({"SESSION_SECRET_FILE": str(file)})
    assert chosen.session_secrets == (b"a" * 32, b"b" * 32)
    assert chosen.jwt_secret == b""


def test_description_names_origins_and_hides_secrets() -> None:
    environment = {
        "JWT_SECRET": SECRET,
        "REDIS_URL": "redis://:password@127.0.0.1:6379",
        "HEXTRACKR_INGEST_TOKENS": "express:notify:" + "t" * 32,
    }
    lines = settings.describe(environment, {"port": 9})
    shown = "\n".join(lines)
    assert SECRET not in shown
    assert "password" not in shown
    assert "t" * 32 not in shown
    assert any(line.startswith("port ") and " 9 " in line and "(--port)" in line for line in lines)
    assert any(line.startswith("jwt_secret ") and "(JWT_SECRET)" in line for line in lines)
    assert len(lines) == len(settings.known())


def test_description_includes_conflicting_settings() -> None:
    assert len(settings.describe({"SSL_KEY_PATH": "key.pem"})) == len(settings.known())


def test_described_values_begin_in_one_column() -> None:
    lines = settings.describe({})
    column = max(map(len, settings.known())) + 1
    assert all(line[column - 1] == " " and line[column] != " " for line in lines)


def test_configured_secret_is_ignored_in_development() -> None:
    assert settings.load({"JWT_SECRET": SECRET}, {"dev": True}).jwt_secret != SECRET.encode()
