"""The command `socketio-conformance URL ...`: plays the dialogues against a server.

The module reads the command line; `session` plays the dialogues and `report` prints the results.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from pathlib import Path

from . import report
from .dialogue import FOLDER, Dialogue, DialogueError, load
from .probe import NoServerError, probe
from .record import record
from .session import Outcome, Summary, make_plan, play
from .target import TargetError, running

# The official servers: differences that the vectors mark are not failures.
PROFILES = ("echo", "node-echo")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 for a failed dialogue, 2 if no dialogue was played."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given[:1] == ["record"]:
            return asyncio.run(record(_recording().parse_args(given[1:])))
        return asyncio.run(_play(_playing().parse_args(given)))
    except KeyboardInterrupt:
        return 130
    except (NoServerError, TargetError, DialogueError, ValueError, OSError) as error:
        sys.stderr.write(f"socketio-conformance: {error}\n")
        return 2


def _playing() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="socketio-conformance",
        description="Hold a server of the echo profile against the dialogues of spec-vectors.",
        epilog="socketio-conformance record URL: write a session as the draft of a dialogue",
    )
    parser.add_argument("urls", nargs="*", metavar="URL", help="http://HOST:PORT")
    parser.add_argument(
        "--run",
        metavar="COMMAND",
        help="start this target (see spec-vectors/README.md) and play its servers as well",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GROUP",
        help="a group, engineio, socketio, or the name of a dialogue; can be repeated",
    )
    parser.add_argument("--profile", choices=PROFILES, default="echo")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--junit", type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, default=16, help="number of dialogues at a time")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first failure")
    parser.add_argument("--vectors", type=Path, default=FOLDER, metavar="FOLDER")
    return parser


def _recording() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="socketio-conformance record",
        description="Stand before a server, and write down what a client and it say.",
    )
    parser.add_argument("url", metavar="URL")
    parser.add_argument(
        "--port", type=int, default=0, help="port to which the client connects (0: any)"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of the recording")
    parser.add_argument("--name", default="recorded")
    return parser


async def _play(options: argparse.Namespace) -> int:
    if options.run is None:
        return await _play_urls(options, options.urls)
    async with running(shlex.split(options.run), Path.cwd()) as target:
        sys.stdout.write(f"{target.server}\n")
        return await _play_urls(options, [*options.urls, *target.urls])


async def _play_urls(options: argparse.Namespace, urls: list[str]) -> int:
    if not urls:
        raise ValueError("a URL or --run with a target is required")
    dialogues = _choose(load(options.vectors), options.only)
    endpoints = [endpoint for url in urls for endpoint in await probe(url)]
    plan = make_plan(
        dialogues,
        endpoints,
        may_differ=options.profile == "node-echo",
        jobs=options.jobs,
        fail_fast=options.fail_fast,
    )
    progress = report.Progress(len(plan.pairs))
    summary = await play(plan, progress)
    progress.clear()
    return _tell(options, summary)


def _choose(dialogues: list[Dialogue], only: list[str]) -> list[Dialogue]:
    if not only:
        return dialogues
    words = set(only)
    chosen = [each for each in dialogues if words & {each.group, each.subject, each.name}]
    known = {word for each in dialogues for word in (each.group, each.subject, each.name)}
    if words - known:
        raise ValueError(f"unknown group or dialogue: {', '.join(sorted(words - known))}")
    return chosen


def _tell(options: argparse.Namespace, summary: Summary) -> int:
    if options.json is not None:
        options.json.write_text(report.as_json(summary), encoding="utf-8")
    if options.junit is not None:
        options.junit.write_text(report.as_junit(summary), encoding="utf-8")
    if options.profile == "node-echo":
        for name in report.stale_marks(summary):
            sys.stdout.write(f"marked as different, but passed: {name}\n")
    sys.stdout.write(report.text(summary) + "\n")
    if not summary.results:
        sys.stderr.write("socketio-conformance: no dialogue was played\n")
        return 2
    return 1 if summary.count(Outcome.FAILED) else 0


if __name__ == "__main__":
    sys.exit(main())
