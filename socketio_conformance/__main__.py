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
from .probe import NoServerError, heartbeat_advice, probe
from .record import record
from .session import Outcome, Summary, make_plan, play
from .target import TargetError, running

# With "node-echo", a difference that the vectors mark for the official servers is not a failure.
PROFILES = ("echo", "node-echo")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return the exit status.

    1: a dialogue failed. 2: no dialogue was played. 3: less than half was played, and none failed.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if words[:1] == ["record"]:
            return asyncio.run(record(_make_record_parser().parse_args(words[1:])))
        return asyncio.run(_play(_make_play_parser().parse_args(words)))
    except KeyboardInterrupt:
        return 130
    except (NoServerError, TargetError, DialogueError, ValueError, OSError) as error:
        sys.stderr.write(f"socketio-conformance: {error}\n")
        return 2


def _make_play_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="socketio-conformance",
        description="Test a server with the echo profile against the dialogues of spec-vectors.",
        epilog="socketio-conformance record URL: record a session as the draft of a dialogue",
    )
    parser.add_argument("urls", nargs="*", metavar="URL", help="http://HOST:PORT")
    parser.add_argument(
        "--run",
        metavar="COMMAND",
        help="start this target (see spec-vectors/README.md) and test its servers as well",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GROUP",
        help="a group, a protocol (engineio, socketio) or the name of a dialogue; can be repeated",
    )
    parser.add_argument("--profile", choices=PROFILES, default="echo")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--junit", type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, default=16, help="number of concurrent dialogues")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first failure")
    parser.add_argument("--vectors", type=Path, default=FOLDER, metavar="FOLDER")
    return parser


def _make_record_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="socketio-conformance record",
        description="Proxy the connections of a client to a server, and record the session.",
    )
    parser.add_argument("url", metavar="URL")
    parser.add_argument(
        "--port", type=int, default=0, help="port to which the client connects (0: any)"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of the recording")
    parser.add_argument("--name", default="recorded", help="name of the dialogue")
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
    for line in [*(each.describe() for each in endpoints), *heartbeat_advice(endpoints)]:
        sys.stderr.write(f"{line}\n")
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
    return _write_reports(options, summary)


def _choose(dialogues: list[Dialogue], only: list[str]) -> list[Dialogue]:
    if not only:
        return dialogues
    words = set(only)
    known = {word for each in dialogues for word in (each.group, each.subject, each.name)}
    if words - known:
        raise ValueError(
            "--only must name a group, a protocol or a dialogue, "
            f"got {', '.join(sorted(words - known))}"
        )
    return [each for each in dialogues if words & {each.group, each.subject, each.name}]


def _write_reports(options: argparse.Namespace, summary: Summary) -> int:
    if options.json is not None:
        options.json.write_text(report.as_json(summary), encoding="utf-8")
    if options.junit is not None:
        options.junit.write_text(report.as_junit(summary), encoding="utf-8")
    if options.profile == "node-echo":
        for name in report.stale_marks(summary):
            sys.stdout.write(f"passed, although marked as different: {name}\n")
    sys.stdout.write(report.text(summary) + "\n")
    if not summary.results:
        sys.stderr.write("socketio-conformance: no dialogue was played\n")
        return 2
    if summary.count(Outcome.FAILED):
        return 1
    if summary.is_partial:
        sys.stderr.write(
            "socketio-conformance: less than half of the dialogues was played, see the reasons; "
            "--only PROTOCOL or GROUP selects those of one part\n"
        )
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
