"""Import layers: a module imports from its own layer or from a lower one, never from a higher one.

`LAYERS` is the architecture, from the bottom to the top. An entry names a folder (all its modules,
not those of its sub-folders) or one module; the entry of a module overrides that of its folder.
Imports under `if TYPE_CHECKING:` count as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("engineio_core", "socketio_core", "hextrackr_server")

LAYERS: tuple[tuple[str, ...], ...] = (
    # Engine.IO
    ("engineio_core/errors", "engineio_core/accounts", "engineio_core/budgets",
     "engineio_core/callbacks",
     "engineio_core/clock",
     "engineio_core/counts", "engineio_core/field_docs", "engineio_core/ids",
     "engineio_core/iteration", "engineio_core/noop", "engineio_core/option_names",
     "engineio_core/read_turn", "engineio_core/state_table", "engineio_core/timers",
     "engineio_core/logs", "engineio_core/lifecycle", "engineio_core/signals",
     "engineio_core/waves", "engineio_core/service_manager", "engineio_core/subclassing",
     "engineio_core/traffic", "engineio_core/websocket_deflate"),
    ("engineio_core/http/grammar", "engineio_core/http/states"),
    ("engineio_core/http/message", "engineio_core/http/compression"),
    ("engineio_core/options",),
    ("engineio_core/codec", "engineio_core/session_state"),
    ("engineio_core/build",),
    ("engineio_core/transports/interface", "engineio_core/heartbeat", "engineio_core/handshake",
     "engineio_core/client_heartbeat"),
    ("engineio_core/http",),
    ("engineio_core/client",),
    ("engineio_core/transports",),
    ("engineio_core/http/asgi_scope", "engineio_core/http/asgi_response",
     "engineio_core/http/asgi_messages", "engineio_core/http/asgi_websocket",
     "engineio_core/http/asgi_host"),
    ("engineio_core/upgrade",),
    ("engineio_core/session",),
    ("engineio_core/admission",),
    ("engineio_core/asgi", "engineio_core/webtransport"),
    ("engineio_core/engine",),
    ("engineio_core/asgi/guest",),
    ("engineio_core/server",),
    ("engineio_core/relay",),
    ("engineio_core/__init__",),
    # Socket.IO
    ("socketio_core/errors", "socketio_core/misuse", "socketio_core/socket_state",
     "socketio_core/disconnect_reason", "socketio_core/logs"),
    ("socketio_core/codec",),
    ("socketio_core/handshake", "socketio_core/adapters/interface",
     "socketio_core/server_events"),
    ("socketio_core/options",),
    ("socketio_core/acknowledgement",),
    ("socketio_core/counts",),
    ("socketio_core/adapters", "socketio_core/adapters/cluster", "socketio_core/adapters/redis",
     "socketio_core/adapters/streams", "socketio_core/adapters/postgres",
     "socketio_core/remote_socket"),
    ("socketio_core/generics", "socketio_core/payloads"),
    ("socketio_core/handlers",),
    ("socketio_core/client",),
    ("socketio_core/schema",),
    ("socketio_core/broadcast", "socketio_core/server_peer"),
    ("socketio_core/socket_operator",),
    ("socketio_core/namespace_core",),
    ("socketio_core/socket",),
    ("socketio_core/namespace",),
    ("socketio_core/directory", "socketio_core/emitter"),
    ("socketio_core/connect", "socketio_core/keywords", "socketio_core/client_files",
     "socketio_core/playground"),
    ("socketio_core/connection",),
    ("socketio_core/server",),
    ("socketio_core/admin",),
    ("socketio_core/workers",),
    ("socketio_core/server_metrics",),
    ("socketio_core/prometheus", "socketio_core/opentelemetry"),
    ("socketio_core/reload",),
    ("socketio_core/command",),
    ("socketio_core/__main__",),
    ("socketio_core/testing", "socketio_core/testing_fixtures", "socketio_core/__init__"),
    # The hub
    ("hextrackr_server/__init__", "hextrackr_server/version", "hextrackr_server/errors",
     "hextrackr_server/child_process", "hextrackr_server/clock",
     "hextrackr_server/daily_time", "hextrackr_server/text", "hextrackr_server/rooms",
     "hextrackr_server/rates"),
    ("hextrackr_server/config", "hextrackr_server/telemetry", "hextrackr_server/storage"),
    ("hextrackr_server/security",),
    ("hextrackr_server/collaboration",),
    ("hextrackr_server/findings",),
    ("hextrackr_server/imports/formats",),
    ("hextrackr_server/imports", "hextrackr_server/kev"),
    ("hextrackr_server/backup", "hextrackr_server/retention"),
    ("hextrackr_server/sockets/payloads",),
    ("hextrackr_server/sockets", "hextrackr_server/http"),
    ("hextrackr_server/http/ingest",),
    ("hextrackr_server/feature",),
    ("hextrackr_server/security/feature", "hextrackr_server/telemetry/feature",
     "hextrackr_server/collaboration/feature", "hextrackr_server/findings/feature",
     "hextrackr_server/imports/feature", "hextrackr_server/kev/feature",
     "hextrackr_server/backup/feature", "hextrackr_server/retention/feature",
     "hextrackr_server/http/ingest/feature", "hextrackr_server/http/feature"),
    ("hextrackr_server/application",),
    ("hextrackr_server/cluster",),
    ("hextrackr_server/doctor",),
    ("hextrackr_server/cli",),
    ("hextrackr_server/__main__",),
)  # fmt: skip


# Pure modules: they receive their clock and transport as arguments and are tested without a loop.
WITHOUT_ASYNCIO = (
    "engineio_core/client/session",
    "engineio_core/codec",
    "engineio_core/session_state",
    "engineio_core/heartbeat",
    "engineio_core/handshake",
    "engineio_core/session",
    "engineio_core/upgrade",
    "engineio_core/webtransport/frames",
    "engineio_core/webtransport/transport",
    "engineio_core/options",
    "socketio_core/codec",
    "socketio_core/adapters/interface",
    "socketio_core/adapters/memory",
    "socketio_core/adapters/recovery",
    "socketio_core/adapters/cluster/adapter",
    "socketio_core/adapters/cluster/in_process",
    "socketio_core/adapters/postgres/format",
    "socketio_core/adapters/redis/classic",
    "socketio_core/adapters/redis/sharded",
    "socketio_core/adapters/streams/entry",
    "socketio_core/adapters/streams/order",
    "socketio_core/socket",
    "socketio_core/namespace",
    "socketio_core/broadcast",
)


def find_modules() -> dict[str, Path]:
    """Return all modules: `package/folder/module` -> file."""
    return {
        path.relative_to(ROOT).with_suffix("").as_posix(): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not is_folder_marker(path)
    }


def is_folder_marker(path: Path) -> bool:
    """Return whether a file is a sub-package's `__init__.py` without code."""
    if path.name != "__init__.py" or path.parent.parent == ROOT:
        return False
    return len(ast.parse(path.read_text()).body) <= 1


MODULES = find_modules()
ENTRIES = {entry: layer for layer, entries in enumerate(LAYERS) for entry in entries}


def find_layer(module: str) -> int | None:
    """Return the layer of a module: its own entry, or that of its folder."""
    return ENTRIES.get(module, ENTRIES.get(module.rpartition("/")[0]))


def find_imports(tree: ast.AST, with_type_checking: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield all import statements of a tree, at any depth."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif (
            isinstance(node, ast.If)
            and "TYPE_CHECKING" in ast.dump(node.test)
            and not with_type_checking
        ):
            for each in node.orelse:
                yield from find_imports(each, with_type_checking)
        else:
            yield from find_imports(node, with_type_checking)


def name_targets(node: ast.Import | ast.ImportFrom, module: str) -> Iterator[str]:
    """Yield the paths that an import may mean: modules, or names inside them."""
    if isinstance(node, ast.Import):
        yield from (alias.name.replace(".", "/") for alias in node.names)
        return
    parts = module.split("/")[: -node.level] if node.level else []
    base = "/".join([*parts, *(node.module.split(".") if node.module else [])])
    yield base
    yield from (f"{base}/{alias.name}" for alias in node.names)


def imported_modules(module: str, *, with_type_checking: bool = True) -> dict[str, int]:
    """Return the modules of this project that `module` imports: name -> line."""
    found: dict[str, int] = {}
    for node in find_imports(ast.parse(MODULES[module].read_text()), with_type_checking):
        names = list(name_targets(node, module))
        exact = [name for name in names if name in MODULES]
        if not exact:
            exact = [f"{name}/__init__" for name in names[:1] if f"{name}/__init__" in MODULES]
        for name in exact:
            found.setdefault(name, node.lineno)
    found.pop(module, None)
    return found


def test_every_module_has_a_layer() -> None:
    missing = [module for module in MODULES if find_layer(module) is None]
    assert not missing, (
        f"no layer for {', '.join(missing)}: add each to LAYERS in {__file__}, "
        "on the lowest layer above everything that it imports"
    )


def test_every_layer_entry_names_a_module_or_a_folder() -> None:
    folders = {module.rpartition("/")[0] for module in MODULES}
    unknown = [entry for entry in ENTRIES if entry not in MODULES and entry not in folders]
    assert not unknown, f"LAYERS names missing modules: {', '.join(unknown)}"


def test_modules_import_only_from_their_own_layer_or_below() -> None:
    upward = [
        f"{module}.py:{line}: imports {target} from a higher layer"
        for module in MODULES
        for target, line in imported_modules(module).items()
        if (find_layer(target) or 0) > (find_layer(module) or 0)
    ]
    assert not upward, "upward imports:\n" + "\n".join(upward)


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_do_not_import_each_other_in_a_cycle(package: str) -> None:
    graph = {
        module: set(imported_modules(module))
        for module in MODULES
        if module.startswith(f"{package}/")
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError("import cycle: " + " -> ".join(error.args[1])) from None


def test_pure_modules_do_not_import_asyncio() -> None:
    found = [
        f"{module}.py:{node.lineno}"
        for module, path in MODULES.items()
        if module.startswith(WITHOUT_ASYNCIO)
        for node in find_imports(ast.parse(path.read_text()), with_type_checking=False)
        if "asyncio" in {name.split("/")[0] for name in name_targets(node, module)}
    ]
    assert not found, "asyncio imported by a pure module:\n" + "\n".join(found)
