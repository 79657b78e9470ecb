"""Tests of loading settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from hextrackr_server.config import settings
from hextrackr_server.errors import SettingsError

SECRET = "s" * 32


def test_defaults_apply_when_only_the_secret_is_set() -> None:
    chosen = settings.load({"JWT_SECRET": SECRET})
    assert (chosen.host, chosen.port) == ("127.0.0.1", 8080)
    assert chosen.jwt_secret == SECRET.encode()
    assert chosen.cors_origins == ()
    assert not chosen.dev


def test_flags_take_precedence_over_the_environment() -> None:
    environment = {"JWT_SECRET": SECRET, "PORT": "9000", "HOST": "::1", "DATABASE": "a.db"}
    chosen = settings.load(environment, {"port": 9001, "host": None, "database": "b.db"})
    assert (chosen.host, chosen.port, chosen.database) == ("::1", 9001, Path("b.db"))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "set JWT_SECRET"),
        ({"JWT_SECRET": "short"}, "at least 32 bytes, got 5"),
        ({"JWT_SECRET": SECRET, "JWT_SECRET_FILE": "x"}, "unset one"),
        ({"JWT_SECRET_FILE": "/nowhere/secret"}, "cannot be read"),
        ({"JWT_SECRET": SECRET, "PORT": "eighty"}, "PORT must be a number"),
        ({"JWT_SECRET": SECRET, "PORT": "65536"}, "PORT must be a number"),
        ({"JWT_SECRET": SECRET, "CORS_ORIGIN": "*"}, "CORS_ORIGIN must list origins"),
        ({"JWT_SECRET": SECRET, "CORS_ORIGIN": "https://a.example/x"}, "CORS_ORIGIN must list"),
        ({"JWT_SECRET": SECRET, "LOG_FORMAT": "xml"}, "LOG_FORMAT must be one of"),
    ],
)
def test_invalid_setting_is_refused_in_one_line(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refusal:
        settings.load(environment)
    assert "\n" not in str(refusal.value)


def test_secret_file_may_end_with_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    assert settings.load_secret({"JWT_SECRET_FILE": str(path)}) == SECRET.encode()


def test_repr_does_not_contain_the_secret() -> None:
    assert SECRET not in repr(settings.load({"JWT_SECRET": SECRET}))


def test_origins_are_parsed_from_a_comma_separated_list() -> None:
    environment = {
        "JWT_SECRET": SECRET,
        "CORS_ORIGIN": " https://a.example/, http://b.example:81 ,",
    }
    assert settings.load(environment).cors_origins == ("https://a.example", "http://b.example:81")


def test_development_generates_a_secret_per_start() -> None:
    one, other = settings.load({}, {"dev": True}), settings.load({}, {"dev": True})
    assert len(one.jwt_secret) >= 32
    assert one.jwt_secret != other.jwt_secret


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "server.example"])
def test_development_is_refused_on_other_interfaces_than_loopback(host: str) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        settings.load({}, {"dev": True, "host": host})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_development_is_allowed_on_loopback(host: str) -> None:
    assert settings.load({}, {"dev": True, "host": host}).host == host
