"""`socketio-conformance URL …`: plays the dialogues against a server, and tells how it did.

Knows: the command line.  Does not know: how anything is played.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from pathlib import Path

from . import report
from .dialogue import FOLDER, BadDialogue, Dialogue, load
from .probe import NoServer, probe
from .record import record
from .session import Outcome, Summary, make_plan, play
from .target import TargetFailed, running

# The official servers: what the vectors say they do otherwise is not held against them.
PROFILES = ("echo", "node-echo")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status: 1 for a failure, 2 where nothing was played."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given[:1] == ["record"]:
            return asyncio.run(record(_recording().parse_args(given[1:])))
        return asyncio.run(_play(_playing().parse_args(given)))
    except KeyboardInterrupt:
        return 130
    except (NoServer, TargetFailed, BadDialogue, ValueError, OSError) as error:
        sys.stderr.write(f"socketio-conformance: {error}\n")
        return 2


def _playing() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="socketio-conformance",
        description="Hold a server of the echo profile against the dialogues of spec-vectors.",
        epilog="socketio-conformance record URL: turn a session into the skeleton of a dialogue",
    )
    parser.add_argument("urls", nargs="*", metavar="URL", help="http://HOST:PORT")
    parser.add_argument(
        "--run",
        metavar="COMMAND",
        help="start this target (see spec-vectors/README.md), and play its servers too",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GROUP",
        help="a group, engineio, socketio, or the name of a dialogue; may be given again",
    )
    parser.add_argument("--profile", choices=PROFILES, default="echo")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--junit", type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, default=16, help="dialogues at a time")
    parser.add_argument("--fail-fast", action="store_true", help="end with the first failure")
    parser.add_argument("--vectors", type=Path, default=FOLDER, metavar="FOLDER")
    return parser


def _recording() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="socketio-conformance record",
        description="Stand before a server, and write down what a client and it say.",
    )
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--port", type=int, default=0, help="where the client shall connect")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to listen")
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
        raise ValueError("name a URL, or a target to run")
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
        raise ValueError(f"no group or dialogue is called {', '.join(sorted(words - known))}")
    return chosen


def _tell(options: argparse.Namespace, summary: Summary) -> int:
    if options.json is not None:
        options.json.write_text(report.as_json(summary), encoding="utf-8")
    if options.junit is not None:
        options.junit.write_text(report.as_junit(summary), encoding="utf-8")
    if options.profile == "node-echo":
        for name in report.stale_marks(summary):
            sys.stdout.write(f"marked as different, and yet passed: {name}\n")
    sys.stdout.write(report.text(summary) + "\n")
    if not summary.results:
        sys.stderr.write("socketio-conformance: nothing was played\n")
        return 2
    return 1 if summary.count(Outcome.FAILED) else 0


if __name__ == "__main__":
    sys.exit(main())
