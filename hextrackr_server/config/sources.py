"""Sources of settings and their precedence: flags, environment, secret files, one TOML file.

Names without a setting are rejected. `config.settings` parses the values.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from hextrackr_server.errors import SettingsError

PREFIX = "HEXTRACKR_"
#: Variables that are not settings: the path of the file, and values for the command line.
OTHERS = ("HEXTRACKR_CONFIG", "HEXTRACKR_TOKEN", "HEXTRACKR_URL")
#: Variables of HexTrackr (v1.1.12: its compose file and its installer) and of the shim in its
#: Express application. An environment file that the programs share contains them.
VARIABLES_OF_HEXTRACKR = {
    "HEXTRACKR_VERSION": "the version of the HexTrackr application",
    "HEXTRACKR_REALTIME_URL": "the address of the hub, for the shim in Express",
}
#: The shim's token is ignored only next to the setting: alone, it is probably a typing error.
INGEST_TOKEN, INGEST_TOKENS = "HEXTRACKR_INGEST_TOKEN", "ingest_tokens"


class Found(NamedTuple):
    """A value as its source contains it, and the name of the source's entry."""

    name: str
    value: Any


class Sources:
    """All sources; raises SettingsError for a name without a setting."""

    def __init__(
        self,
        environment: Mapping[str, str],
        flags: Mapping[str, Any],
        known: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._environment = environment
        self._flags = {name: value for name, value in flags.items() if value is not None}
        self._known = known
        self._file_name = str(self._flags.get("config") or environment.get(OTHERS[0]) or "")
        self._file = _read_toml(Path(self._file_name)) if self._file_name else {}
        self.origins: dict[str, str] = {}
        self._refuse_unknown()

    def find(self, name: str, *, is_secret: bool = False) -> Found | None:
        """Return the value with the highest precedence; an empty variable counts as not set."""
        if name in self._flags:
            flag = f"--{name.replace('_', '-')}"
            return self._note(name, flag, Found(flag, self._flags[name]))
        for variable in (PREFIX + name.upper(), *self._known[name]):
            found = self._variable(variable, is_secret)
            if found is not None:
                return self._note(name, found.name, Found(variable, found.value))
        if name in self._file:
            return self._note(name, self._file_name, Found(name, self._file[name]))
        return None

    def _note(self, name: str, origin: str, found: Found) -> Found:
        self.origins[name] = origin
        return found

    def _variable(self, variable: str, is_secret: bool) -> Found | None:
        direct = self._environment.get(variable)
        file = self._environment.get(f"{variable}_FILE") if is_secret else None
        if direct and file:
            raise SettingsError(f"{variable} and {variable}_FILE are both set: unset one of them")
        if file:
            return Found(f"{variable}_FILE", _read_secret(f"{variable}_FILE", Path(file)))
        return Found(variable, direct) if direct else None

    def ignored(self) -> dict[str, str]:
        """Return the variables of HexTrackr that are set, with their meaning."""
        names = dict(VARIABLES_OF_HEXTRACKR)
        if self.find(INGEST_TOKENS, is_secret=True) is not None:
            names[INGEST_TOKEN] = "the token of the shim in Express"
        return {name: names[name] for name in names if name in self._environment}

    def _refuse_unknown(self) -> None:
        ignored = self.ignored()
        variables = [PREFIX + name.upper() for name in self._known]
        variables += [f"{variable}_FILE" for variable in variables]
        for variable in self._environment:
            if variable.startswith(PREFIX) and variable not in (*variables, *OTHERS, *ignored):
                names = [each.removeprefix(PREFIX) for each in (*variables, *OTHERS)]
                near = get_close_matches(variable.removeprefix(PREFIX), names, n=1)
                raise _unknown("variable", variable, [PREFIX + each for each in near])
        for key in self._file:
            if key not in self._known:
                raise _unknown(f"key in {self._file_name}:", key, self._near_keys(key))

    def _near_keys(self, key: str) -> list[str]:
        """Return similar keys, also for the name of an environment variable."""
        names = {name: name for name in self._known}
        names |= {other.lower(): name for name, others in self._known.items() for other in others}
        near = get_close_matches(key.lower().removeprefix(PREFIX.lower()), names, n=1)
        return [names[each] for each in near]


def _unknown(what: str, name: str, near: list[str]) -> SettingsError:
    hint = "remove it (`hextrackr-server check` lists all settings)"
    if near:
        hint = f"did you mean {near[0]}?"
    return SettingsError(f"unknown {what} {name[:100]!r}: {hint}")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"the settings file {path} cannot be read: {reason}") from error
    except ValueError as error:  # from the decoder, the parser, or a number of too many digits
        raise SettingsError(f"the settings file {path} must be valid TOML: {error}") from error


def _read_secret(variable: str, path: Path) -> str:
    try:
        # Editors end the file with a newline, which is not part of the secret.
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SettingsError(f"{variable} {path} cannot be read: {reason}") from error
