"""Who may import whom: a module imports from its own floor or from below, never from above.

Imports under `if TYPE_CHECKING:` do not count: they are not there when the program runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("engineio_core", "socketio_core", "hextrackr_server")

# A new module goes into the row of the lowest floor that stands above all that it imports.
FLOORS: dict[int, str] = {
    0: "engineio_core: errors options",
    1: "engineio_core: websocket_frame encoded_packet packet payload",
    2: "engineio_core: handshake transport session_state heartbeat upgrade session",
    3: """engineio_core: http_message compression exchange polling_transport trusted_proxies
          websocket_handshake websocket_library websocket_transport http_head""",
    4: "engineio_core: cors http_protocol asgi_host listener admission engine __init__",
    5: "socketio_core: errors options packet binary parser json_packet msgpack_packet",
    6: """socketio_core: adapter memory_adapter broadcast acknowledgement handler runner dispatch
          recovery handshake registry socket_operator
          event_table incoming socket_ server_peer namespace""",
    7: """socketio_core: keywords joining connection client_files server testing redis_adapter
          redis_streams_adapter cluster_adapter
          workers __init__""",
    8: """hextrackr_server: __init__ errors clock setting_kinds ingest_auth setting_sources settings
          idempotency session_cookie ingest_service identity_service emitter event_log log_setup
          daily_time metrics open_files notifications principal rate_limiter
          update_batcher schema database vulnerability_store csv_mapping csv_source importer
          import_store import_inbox inline_rows upload_store sample kev progress_tracker
          editing_sessions maintenance
          migrations history_store import_summary import_view progress_record
          vulnerability_events kev_feed kev_fetcher kev_store kev_command database_backends
          query_store query_service question_turns
          background_writer maintenance_store notification_store notification_delivery
          statistics_service import_service import_client""",
    9: """hextrackr_server: handlers.__init__ handlers.imports handlers.vulnerabilities
          handlers.editing handlers.admin handlers.progress handlers.answers handlers.identity
          handlers.failures handlers.limits handlers.observation metrics_api ingest_api
          handlers.notifications handlers.rooms ingest_paths
          http_api http_numbers http_uploads http_front_end http_kev application __main__""",
}
# Pure logic: it is given its clock and its transport, and is tested without a loop.
WITHOUT_ASYNCIO = {0, 1, 2, 5, 6}
# They make futures and tasks, and know nothing else of asyncio.
MAY_USE_ASYNCIO = {"socketio_core.runner", "socketio_core.acknowledgement"}

FLOOR_OF = {
    f"{package}.{module}": floor
    for floor, row in FLOORS.items()
    for package, _, modules in [row.partition(":")]
    for module in modules.split()
}


def find_modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def find_imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that run, wherever they stand."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from (found for each in node.orelse for found in find_imports(each))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        else:
            yield from find_imports(node)


def name_targets(node: ast.Import | ast.ImportFrom, module: str) -> Iterator[str]:
    """Yield the full names that an import may mean: of modules, or of what is in them."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    parts = module.split(".")[: -node.level] if node.level else []
    base = ".".join([*parts, *([node.module] if node.module else [])])
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names)


def imported_modules(module: str, path: Path, known: set[str]) -> dict[str, int]:
    """Return the modules of ours that `module` imports, and the line of each import."""
    found: dict[str, int] = {}
    for node in find_imports(ast.parse(path.read_text())):
        names = list(name_targets(node, module))
        exact = [name for name in names if name in known]
        if not exact:
            exact = [f"{name}.__init__" for name in names[:1] if f"{name}.__init__" in known]
        for name in exact:
            found.setdefault(name, node.lineno)
    found.pop(module, None)
    return found


def test_every_module_has_a_floor() -> None:
    homeless = sorted(set(find_modules()) - set(FLOOR_OF))
    assert not homeless, (
        f"no floor for {', '.join(homeless)}: add each to a row of FLOORS in {__file__}, "
        "the lowest that stands above all that it imports"
    )


def test_nobody_reaches_up() -> None:
    modules = find_modules()
    complaints = [
        f"{path.relative_to(ROOT)}:{line}: {module} (floor {FLOOR_OF[module]}) imports "
        f"{target} (floor {FLOOR_OF[target]})"
        for module, path in modules.items()
        if module in FLOOR_OF
        for target, line in imported_modules(module, path, set(modules)).items()
        if target in FLOOR_OF and FLOOR_OF[target] > FLOOR_OF[module]
    ]
    assert not complaints, "imports that reach up:\n" + "\n".join(complaints)


def test_no_modules_import_each_other() -> None:
    modules = find_modules()
    graph = {
        module: set(imported_modules(module, path, set(modules)))
        for module, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError("a circle of imports: " + " -> ".join(error.args[1])) from None


def test_pure_floors_do_not_know_asyncio() -> None:
    complaints = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for module, path in find_modules().items()
        if FLOOR_OF.get(module) in WITHOUT_ASYNCIO and module not in MAY_USE_ASYNCIO
        for node in find_imports(ast.parse(path.read_text()))
        if "asyncio" in {name.split(".")[0] for name in name_targets(node, module)}
    ]
    assert not complaints, "asyncio is imported on a floor without it:\n" + "\n".join(complaints)
