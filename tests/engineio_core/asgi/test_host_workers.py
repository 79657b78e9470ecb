"""The number of workers in the command of an ASGI host, and the warning about them."""

from __future__ import annotations

import logging
import multiprocessing
import sys
from types import SimpleNamespace

import pytest

from engineio_core.asgi.host_workers import count_host_workers
from socketio_core import InProcessCluster, SocketServer


@pytest.mark.parametrize(
    ("command", "environment", "count"),
    [
        ("/bin/uvicorn app:app --workers 4 --port 80", {}, 4),
        ("/lib/uvicorn/__main__.py app:app --workers=2", {}, 2),
        ("uvicorn app:app", {"WEB_CONCURRENCY": "3"}, 3),
        ("uvicorn app:app --workers 1", {"WEB_CONCURRENCY": "3"}, 1),
        ("uvicorn app:app", {"WEB_CONCURRENCY": ""}, 1),
        ("gunicorn -k uvicorn_worker.UvicornWorker -w 2 app:app", {}, 2),
        ("gunicorn -w2 app:app", {}, 2),
        ("gunicorn app:app", {"GUNICORN_CMD_ARGS": "-k worker -w 3"}, 3),
        ("gunicorn -w 1 app:app", {"GUNICORN_CMD_ARGS": "--workers=3"}, 1),
        ("uvicorn app:app", {"GUNICORN_CMD_ARGS": "-w 3"}, 1),
        ("hypercorn app:app -w 2", {"WEB_CONCURRENCY": "3"}, 2),
        ("hypercorn app:app", {"WEB_CONCURRENCY": "3"}, 1),
        ("granian --interface asgi app:app --workers 2", {}, 2),
        ("granian --interface asgi app:app", {"GRANIAN_WORKERS": "5"}, 5),
        ("fastapi run app.py --workers 2", {}, 2),
        ("uvicorn app:app --workers-other 2", {}, 1),
        ("program.py --workers 2", {"WEB_CONCURRENCY": "3"}, 1),
        ("", {}, 1),
    ],
)
def test_workers_of_a_command_are_counted(
    command: str, environment: dict[str, str], count: int
) -> None:
    assert count_host_workers(command.split(), environment, multiprocessing.current_process()) == (
        count
    )


def make_process(name: str = "SpawnProcess-1", *args: object, **options: object) -> object:
    """Return a process of multiprocessing, whose argument `config` has the given attributes."""
    config = SimpleNamespace(**options)
    return multiprocessing.Process(name=name, args=args, kwargs={"config": config})


@pytest.mark.parametrize(
    ("command", "process", "count"),
    [
        ("program.py", make_process(workers=3, reload=False), 3),
        ("uvicorn app:app --workers 2 --reload", make_process(workers=2, reload=True), 1),
        ("hypercorn --config file.toml app:app", make_process(workers=2), 2),
        ("uvicorn app:app --workers 2", make_process(workers="many"), 2),
        ("program.py", make_process(), 1),
        ("program.py", make_process("granian-worker", 2, "app"), 2),
        ("granian app:app --workers 4", make_process("granian-worker", 2, "app"), 4),
        ("program.py", make_process("granian-worker", "app"), 1),
        ("program.py", make_process("granian-worker"), 1),
        ("program.py", object(), 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_workers_of_a_program_or_configuration_file_are_counted(
    command: str, process: object, count: int
) -> None:
    assert count_host_workers(command.split(), {}, process) == count


def test_several_workers_without_an_adapter_are_reported_once_per_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["uvicorn", "app:app", "--workers", "2"])
    io = SocketServer()
    with caplog.at_level(logging.WARNING):
        io.asgi_app()
        io.asgi_app()
    assert (
        caplog.text.count("the ASGI server runs at least 2 workers, and this server has no adapter")
        == 1
    )


def test_several_workers_with_an_adapter_are_not_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["uvicorn", "app:app", "--workers", "2"])
    with caplog.at_level(logging.WARNING):
        SocketServer(adapter=InProcessCluster().join()).asgi_app()
    assert not caplog.text
