"""The signals that stop a process: the first requests a stop, the second ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from engineio_core.signals import STOP_SIGNALS, StopSignals


@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_first_signal_requests_a_stop(number: signal.Signals) -> None:
    former = signal.getsignal(number)
    codes: list[int] = []
    async with StopSignals(end_process=codes.append) as signals:
        signal.raise_signal(number)
        assert await signals.wait() == number.name
        assert await signals.wait() == number.name
    assert codes == []
    assert signal.getsignal(number) is former


@pytest.mark.parametrize("first", STOP_SIGNALS)
@pytest.mark.parametrize("second", STOP_SIGNALS)
async def test_second_signal_ends_the_process(
    first: signal.Signals, second: signal.Signals
) -> None:
    codes: list[int] = []
    async with StopSignals(end_process=codes.append):
        signal.raise_signal(first)
        signal.raise_signal(second)
    assert codes == [128 + second]


async def test_second_signal_does_nothing_in_a_supervised_process() -> None:
    codes: list[int] = []
    async with StopSignals(is_supervised=True, end_process=codes.append) as signals:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        assert await signals.wait() == "SIGTERM"
    assert codes == []


async def test_hangup_is_handled_until_the_end_of_the_shutdown() -> None:
    hangup = asyncio.Event()
    async with StopSignals(hangup.set) as signals:
        signal.raise_signal(signal.SIGTERM)
        await signals.wait()
        os.kill(os.getpid(), signal.SIGHUP)
        await hangup.wait()


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_second_signal_ends_a_process_with_a_blocked_event_loop(number: signal.Signals) -> None:
    code = textwrap.dedent("""
        import time
        import uvloop
        from engineio_core.signals import StopSignals

        async def main():
            async with StopSignals() as signals:
                print("ready", flush=True)
                await signals.wait()
                print("blocked", flush=True)
                while True:
                    time.sleep(60)

        uvloop.run(main())
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        for line in ("ready\n", "blocked\n"):
            assert process.stdout.readline() == line
            process.send_signal(number)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert errors == ""
