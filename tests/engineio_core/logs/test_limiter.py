"""Tests of the limit of log lines per kind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from engineio_core.logs import limiter
from engineio_core.logs.limiter import LINE_LIMIT, LineLimit
from socketio_core.logs import limit_lines
from tests.helpers.fake_clock import FakeClock


class _Lines(logging.Handler):
    """Handler that keeps messages."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.arrived = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        if hasattr(record, "omitted_lines"):
            self.arrived.set()


@pytest.fixture
def lines() -> _Lines:
    return _Lines()


@pytest.fixture
def logger(lines: _Lines) -> Iterator[logging.Logger]:
    found = logging.getLogger("tests.limited")
    found.setLevel(logging.INFO)
    found.propagate = False
    found.addHandler(lines)
    yield found
    found.handlers.clear()
    found.filters.clear()
    found.setLevel(logging.NOTSET)


def limit(logger: logging.Logger, clock: FakeClock, lines: int = 3) -> LineLimit:
    found = LineLimit(lines, 60.0, clock.time)
    logger.addFilter(found)
    return found


def refuse(logger: logging.Logger, count: int) -> None:
    for number in range(count):
        logger.info("refused request %d", number)


def test_lines_above_the_limit_are_omitted_and_counted(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    found = limit(logger, clock)
    refuse(logger, 415)
    assert lines.texts == ["refused request 0", "refused request 1", "refused request 2"]
    assert found.omitted == 412


def test_summary_reports_omitted_lines_when_the_period_is_over(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    limit(logger, clock)
    refuse(logger, 415)
    clock.advance(60)
    logger.info("another line")
    assert lines.texts[3:] == [
        '412 more lines in the last 60 s of this kind: "refused request %d"',
        "another line",
    ]


def test_kind_may_log_again_in_the_next_period(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    limit(logger, clock)
    refuse(logger, 3)
    clock.advance(60)
    refuse(logger, 3)
    assert len(lines.texts) == 6


def test_other_kinds_are_not_affected(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    limit(logger, clock)
    refuse(logger, 10)
    logger.info("another line")
    assert lines.texts[-1] == "another line"


def test_kinds_do_not_depend_on_the_text_of_a_line(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    limit(logger, clock)
    for number in range(10):
        logger.info(f"request {number}")
    assert len(lines.texts) == 3


def test_kinds_of_a_compiled_module_are_distinguished_by_their_text(
    logger: logging.Logger, clock: FakeClock
) -> None:
    found = LineLimit(3, 60.0, clock.time)
    record = logger.makeRecord(
        "engineio_core", logging.INFO, "caller.py", 1, "refused %d", (), None
    )
    other = logger.makeRecord("engineio_core", logging.INFO, "caller.py", 1, "closed %d", (), None)
    assert [found.filter(record) for _ in range(4)] == [True, True, True, False]
    assert found.filter(other)


def test_memory_is_bounded_when_there_are_many_kinds(
    logger: logging.Logger, clock: FakeClock
) -> None:
    found = limit(logger, clock)
    for number in range(5000):
        found.filter(logging.LogRecord("tests.limited", 20, "x.py", number, "x", (), None))
    assert len(found._windows) == limiter.MAX_KINDS + 1


def test_logger_at_level_debug_has_no_limit(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    limit(logger, clock)
    logger.setLevel(logging.DEBUG)
    refuse(logger, 10)
    assert len(lines.texts) == 10


def test_limit_of_zero_passes_all_lines(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    limit(logger, clock, 0)
    refuse(logger, 10)
    assert len(lines.texts) == 10


def test_final_report_does_not_wait_for_the_end_of_the_period(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    found = limit(logger, clock)
    refuse(logger, 10)
    found.report(is_final=True)
    assert lines.texts[-1].startswith("7 more lines in the last 0 s")
    found.report(is_final=True)
    assert len(lines.texts) == 4


async def test_timer_reports_omitted_lines_without_a_further_line(
    logger: logging.Logger, lines: _Lines
) -> None:
    logger.addFilter(LineLimit(1, 0.4))  # a busy machine logs three lines in this time
    refuse(logger, 3)
    await asyncio.wait_for(lines.arrived.wait(), 300)
    assert lines.texts[-1] == '2 more lines in the last 0 s of this kind: "refused request %d"'


@pytest.mark.parametrize("name", ["engineio_core", "socketio_core"])
def test_loggers_of_the_server_have_the_common_limit(name: str) -> None:
    assert LINE_LIMIT in logging.getLogger(name).filters


@pytest.mark.parametrize(("lines_", "period"), [(-1, 60), (1, 0), (1, -5)])
def test_invalid_limit_is_refused(lines_: int, period: float) -> None:
    before = (LINE_LIMIT.lines, LINE_LIMIT.period)
    with pytest.raises(ValueError, match="must be"):
        limit_lines(lines_, period)
    assert (LINE_LIMIT.lines, LINE_LIMIT.period) == before


def test_client_above_the_limit_does_not_hide_other_clients(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    found = limit(logger, clock)
    for address in ["192.0.2.1"] * 10 + ["192.0.2.2", "192.0.2.1", "192.0.2.2", "192.0.2.3"]:
        logger.info("refused %s", address, extra={"client": address})
    texts = [f"refused 192.0.2.{number}" for number in (1, 1, 1, 2, 3)]
    assert (lines.texts, found.omitted) == (texts, 9)


def test_lines_of_other_clients_are_limited_as_well(
    logger: logging.Logger, lines: _Lines, clock: FakeClock
) -> None:
    limit(logger, clock)
    for number in range(100):
        logger.info("refused", extra={"client": f"192.0.2.{number}"})
    assert len(lines.texts) == 3 + limiter.RESERVED


@pytest.mark.parametrize(
    "fields",
    [{"address": "2001:db8::%d"}, {"user": "u", "address": "192.0.2.%d"}],
    ids=["network", "user"],
)
def test_client_is_a_network_or_a_user(
    logger: logging.Logger, lines: _Lines, clock: FakeClock, fields: dict[str, str]
) -> None:
    limit(logger, clock)
    for number in range(5):
        values = {name: text.replace("%d", str(number)) for name, text in fields.items()}
        logger.info("refused", extra={"fields": values})
    assert len(lines.texts) == 3
