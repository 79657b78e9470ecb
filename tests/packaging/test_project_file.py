"""Consistency of pyproject.toml with the imports, the scripts and the Makefile."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.binary.installed import REQUIREMENT
from scripts.binary.tree import EXTRAS
from scripts.lower_bounds import lower_bounds

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
OURS = {"engineio_core", "socketio_core", "hextrackr_server", "socketio_conformance"}
#: Distributions whose module has another name.
MODULES = {
    "opentelemetry-api": "opentelemetry",
    "prometheus-client": "prometheus_client",
    "pyjwt": "jwt",
    "python-multipart": "python_multipart",
}
#: Imported by another library: the time zones of zoneinfo and the driver of SQLAlchemy.
INDIRECT = {"tzdata", "psycopg"}


def modules(requirements: list[str]) -> set[str]:
    """Return the modules that requirements install."""
    names = [re.split(r"[^\w-]", requirement)[0] for requirement in requirements]
    return {MODULES.get(name, name) for name in names}


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below a node that run, without the blocks of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for each in child.orelse:
                yield each
                yield from statements(each)
        else:
            yield child
            yield from statements(child)


def imports(*packages: str) -> set[str]:
    """Return the modules outside of the standard library and this project that packages import."""
    found = set()
    for package in packages:
        for path in (ROOT / package).rglob("*.py"):
            for node in statements(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.split(".")[0])
    return found - OURS - set(sys.stdlib_module_names)


def test_dependencies_are_the_imports_of_the_core() -> None:
    extras = PROJECT["optional-dependencies"]
    # The adapters, models of pydantic as types of payloads, the reloader, WebTransport, telemetry
    names = (
        "redis",
        "postgres",
        "pydantic",
        "reload",
        "webtransport",
        "admin",
        "prometheus",
        "otel",
    )
    optional = modules([each for name in names for each in extras[name]])
    imported = imports("engineio_core", "socketio_core", "socketio_conformance")
    assert imported - optional == modules(PROJECT["dependencies"])


def test_hub_extra_contains_the_imports_of_the_hub_only() -> None:
    extras = PROJECT["optional-dependencies"]
    core = modules(PROJECT["dependencies"])
    optional = modules([*extras["postgres"], *extras["otel"], *extras["tracing"]])
    imported = imports("hextrackr_server") - core - optional
    assert imported == modules(extras["hub"]) - INDIRECT


@pytest.mark.parametrize("name", ["test-pythons", "test-compiled"])
def test_classifiers_match_the_python_versions_of_ci(name: str) -> None:
    script = (ROOT / "scripts" / name).read_text("utf-8")
    tested = re.search(r'^VERSIONS="(.*)"$', script, re.MULTILINE)
    assert tested is not None
    prefix = "Programming Language :: Python :: 3."
    classified = [each for each in PROJECT["classifiers"] if each.startswith(prefix)]
    assert [each.rpartition(" ")[2] for each in classified] == tested[1].split()
    assert PROJECT["requires-python"] == f">={tested[1].split()[0]}"


def test_lower_bounds_pin_every_dependency() -> None:
    every = [*PROJECT["dependencies"]]
    for extra in PROJECT["optional-dependencies"].values():
        every += extra
    bounds = lower_bounds(PROJECT)
    # The hub and the extra `prometheus` need the same distribution.
    assert len(bounds) == len(set(every)) == len(every) - 1
    assert bounds["websockets"] == "15"
    assert bounds["starlette"] == "1.7"
    assert all(bounds.values())


@pytest.mark.parametrize("requirement", ["h11", "h11==1.0", "h11<2"])
def test_lower_bounds_reject_a_requirement_without_a_lower_bound(requirement: str) -> None:
    with pytest.raises(ValueError, match="name>=version"):
        lower_bounds({"dependencies": [requirement]})


def test_development_tools_are_pinned() -> None:
    groups = PYPROJECT["dependency-groups"]
    runtime = modules([each for each in groups["test"] if "==" not in each])
    expected = {"attrs", "pydantic", "python-socks", "redis", "starlette", "watchfiles"}
    expected |= {"aioquic", "bcrypt", "cryptography", "pylsqpack"}
    expected |= {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"}
    expected |= {"prometheus_client"}
    assert runtime == expected, "tools must be pinned with =="
    assert all("==" in each for each in groups["dev"] if isinstance(each, str))
    assert {"include-group": "test"} in groups["dev"]
    assert "dev" not in PROJECT["optional-dependencies"]


def test_make_lists_every_target_with_a_description_by_default() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    declared = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert declared is not None
    targets = declared[1].replace("\\\n", " ").split()
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = {line.split()[1]: line.split()[2:] for line in done.stdout.splitlines()}
    assert set(listed) == set(targets)
    assert all(listed.values())


def test_ci_runs_every_check() -> None:
    steps = (ROOT / ".ci" / "run").read_text("utf-8")
    for target in ("test", "conformance", "oldest", "pythons"):
        assert re.search(rf"^step make {target}\b", steps, re.MULTILINE), target


def test_lint_checks_docstrings_spelling_and_language() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)*)", makefile, re.MULTILINE)
    assert recipe is not None
    for command in ("ruff check .", "ruff format --check .", "codespell", "check_language.py"):
        assert command in recipe[1], command
    lint = PYPROJECT["tool"]["ruff"]["lint"]
    assert "D" in lint["select"]
    assert lint["pydocstyle"] == {"convention": "pep257"}
    assert "en-GB_to_en-US" in PYPROJECT["tool"]["codespell"]["builtin"]


@pytest.mark.parametrize(("text", "command"), [
    ('def f() -> None:\n    """Returns the name of a client."""\n', ("ruff", "check")),
    ("# The colour of a vulnerabilty.\n", ("codespell",)),  # codespell:ignore colour,vulnerabilty
    ("# Whoever asks is told.\n", ("python", "scripts/check_language.py")),
])  # fmt: skip
def test_lint_rejects(text: str, command: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(text)
    options = ("--config", str(ROOT / "pyproject.toml")) if command[0] == "ruff" else ()
    done = subprocess.run(
        [Path(sys.executable).parent / command[0], *command[1:], *options, file],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode not in {0, 2}, done.stdout + done.stderr
    assert "module.py" in done.stdout


def test_lock_of_the_executable_contains_each_requirement() -> None:
    text = (ROOT / "scripts" / "binary" / "requirements.txt").read_text("utf-8")
    locked = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    required = [*PROJECT["dependencies"], *(each for name in EXTRAS for each in extras[name])]
    names = {re.split(r"[^\w.-]", each)[0].lower() for each in required}
    assert not names - locked, "run scripts/binary/lock"
    assert "--hash=sha256:" in text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("h11>=0.16", ("h11", "0.16", None)),
        ('pyjwt[crypto]>=2.10; extra == "hub"', ("pyjwt", "2.10", "hub")),
        # setuptools writes an upper bound first.
        ('aioquic<1.8,>=1.7.2; extra == "webtransport"', ("aioquic", "1.7.2", "webtransport")),
    ],
)
def test_check_of_the_executable_reads_a_requirement(
    text: str, found: tuple[str, str, str | None]
) -> None:
    match = REQUIREMENT.match(text)
    assert match is not None
    assert match.group("name", "bound", "extra") == found
