"""The printed types with the TypeScript compiler and the types of the official client."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hextrackr_server.cli.types import hub_types
from tests.typing import typed_example

from .support import HERE

pytestmark = pytest.mark.node

CLIENT_OF_THE_HUB = """
import { io, type Socket } from "socket.io-client";
import type { ClientToServerEvents, ImportProgress, ServerToClientEvents } from "./events";
import type { AdminClientToServerEvents, AdminServerToClientEvents } from "./events";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("http://127.0.0.1:8080");
socket.on("import-progress", (progress) => {
  const typed: ImportProgress = progress;
  const shown: string = `${typed.percentage} % of ${typed.progress.total ?? "?"} rows`;
});
socket.on("vulnerability-change", ({ data }) => {
  const vendor: string | undefined = "summary" in data ? undefined : data.vendor;
});
socket.on("batch-updates", (updates) => {
  for (const { id, data } of updates["vulnerability-updated"] ?? []) data.severity?.toString();
});

export async function start(): Promise<number> {
  const answer = await socket.emitWithAck("start-import", {
    source: "inline", filename: "a.csv", rows: [{ hostname: "a", cvss: 7.1 }],
  });
  if (!answer.success) throw new Error(`${answer.code}: ${answer.error}`);
  const statistics = await socket.emitWithAck("get-vulnerability-stats");
  const filtered = await socket.emitWithAck("get-vulnerability-stats", { severity: "high" });
  socket.emit("start-editing", "ticket", 7, (editors) => {
    if (editors.success) editors.currentEditors.map((each) => each.username);
  });
  if (statistics.success && filtered.success) statistics.data.bySeverity.critical.count.toFixed();
  return answer.importId;
}

const admin: Socket<AdminServerToClientEvents, AdminClientToServerEvents> = io("/admin");
admin.emit("broadcast-announcement", { message: "hello", priority: "high" }, () => {});
"""
MISTAKES = """
import { io, type Socket } from "socket.io-client";
import type { ClientToServerEvents, ServerToClientEvents } from "./events";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io();
// @ts-expect-error an unknown event
socket.on("import-progres", () => {});
// @ts-expect-error an unknown field
socket.on("import-progress", (progress) => progress.percent);
// @ts-expect-error an unknown kind of resource
socket.emit("start-editing", "host", 7, () => {});
// @ts-expect-error a missing argument
socket.emitWithAck("join-import-room");
// @ts-expect-error the upload is missing
socket.emitWithAck("start-import", { source: "upload" });
// @ts-expect-error the answer may be a refusal
socket.emitWithAck("cancel-import", 7).then((answer) => answer.status);
"""
CLIENT_OF_THE_EXAMPLE = """
import { io, type Socket } from "socket.io-client";
import type { BoardClientToServerEvents, BoardServerToClientEvents } from "./events";

const board: Socket<BoardServerToClientEvents, BoardClientToServerEvents> = io("/board");
board.on("task:moved", (moved) => moved.column.length);
board.on("confirm", (question, ack) => ack(`${question.q} yes`));
board.emitWithAck("task:move", { project: 7, task: 1, column: "done" });
"""


def compile_program(folder: Path, events: str, *programs: str) -> None:
    """Compile programs next to a module with events, as strictly as possible."""
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    (folder / "events.ts").write_text(events)
    for number, program in enumerate(programs):
        (folder / f"program{number}.ts").write_text(program)
    node = shutil.which("node")
    assert node is not None, "Node is missing: run scripts/check-node"
    compiler = HERE / "node_modules" / "typescript" / "bin" / "tsc"
    assert compiler.is_file(), "the npm packages are missing: run `make setup`"
    options = "--noEmit --strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes"
    modules = "--target es2022 --lib es2022,dom --module preserve --moduleResolution bundler"
    command = [node, compiler, *f"{options} {modules} --skipLibCheck".split()]
    files = [f"program{number}.ts" for number in range(len(programs))]
    done = subprocess.run(
        [*command, "events.ts", *files], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_types_of_the_hub_compile_with_a_client_and_report_its_mistakes(tmp_path: Path) -> None:
    compile_program(tmp_path, hub_types(), CLIENT_OF_THE_HUB, MISTAKES)


def test_types_of_a_server_compile_with_a_client(tmp_path: Path) -> None:
    compile_program(tmp_path, typed_example.io.typescript(), CLIENT_OF_THE_EXAMPLE)
