#!/usr/bin/env bash
# uvloop: `call_later` and `call_at` return a handle without `when()` for delays below about 0.5 ms.
#
# The documentation of asyncio (section "Event loop", call_later and call_at) documents that both return an
# instance of asyncio.TimerHandle, whose method `when()` gives the scheduled time. uvloop 0.23.0 rounds
# the delay to milliseconds and, if the result is 0, schedules the callback with `call_soon`: the
# caller gets a plain Handle, and `when()` raises AttributeError. With a longer delay the method is
# there. Code that keeps one timer and compares `timer.when()` with a new deadline therefore works for
# years and fails when a deadline happens to be due within half a millisecond.
#
# Affected: asyncio servers and clients on uvloop that read `when()` of their timers, such as a
# keep-alive timer that is only moved forward. Keep the deadline in an attribute instead.
# Source: uvloop 0.23.0, loop.pyx, `call_later` and `call_at`; Python documentation of asyncio.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uvloop==0.23.0
cat > "$work/program.py" <<'PYTHON'
import asyncio
import sys

import uvloop


async def has_when(delay):
    loop = asyncio.get_running_loop()
    handles = loop.call_later(delay, int), loop.call_at(loop.time() + delay, int)
    return [hasattr(handle, "when") for handle in handles]


async def measure():
    return {delay: await has_when(delay) for delay in (0, 0.0001, 0.01)}


print(f"uvloop {uvloop.__version__}, Python {sys.version.split()[0]}")
with_asyncio = asyncio.run(measure())
with_uvloop = uvloop.run(measure())
print("expected: the handles of call_later and call_at have when(), whatever the delay is")
for delay in with_uvloop:
    print(f"seen with a delay of {delay:g} s: asyncio {with_asyncio[delay]}, uvloop {with_uvloop[delay]}")
assert all(all(found) for found in with_asyncio.values())
assert with_uvloop[0] == with_uvloop[0.0001] == [False, False], "short delays have when() now"
assert with_uvloop[0.01] == [True, True]
print("confirmed: uvloop returns handles without when() for short delays")
PYTHON
"$work/venv/bin/python" "$work/program.py"
