"""An Express application with express-session, passport and the shim, next to the hub.

The application runs with the real packages and two session stores; its page uses the official
client. docs/express-shim.md describes the deployment.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.ports import reserve_port
from tests.hextrackr_server.postgres.server import running_postgres

from . import program
from .program import Server
from .support import HERE, TIMEOUT, find_node

pytestmark = pytest.mark.interop

SESSION_SECRET = "fedcba9876543210" * 2
PRODUCER_SECRET = "0123456789abcdef" * 2
PACKAGES = ("express", "express-session", "jsonwebtoken", "passport", "passport-local")
SESSION = "import-1735088423891-a3b2c1d4e"


class Application:
    """The running application, as a browser requests it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cookie = ""

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request with the cookie, keep a new cookie, and return status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        headers = {"content-type": "application/json", "cookie": self.cookie}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        if cookie := response.headers.get("set-cookie"):
            self.cookie = cookie.partition(";")[0]
        connection.close()
        return response.status, json.loads(content) if content.startswith(b"{") else content

    def log_in(self, username: str = "alice") -> None:
        credentials = {"username": username, "password": "secret"}
        status, _ = self.request("POST", "/login", credentials)
        assert status == 200

    def report(self, step: str, session: str = SESSION) -> None:
        assert self.request("POST", f"/imports/{session}/{step}", {})[0] == 200


class Page:
    """A page with the official client in a Node process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._reports: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            report = json.loads(line)
            self._reports.put((report["event"], report["detail"]))

    def wait_for(self, event: str) -> Any:
        """Read reports until an event, and return its detail."""
        seen = []
        while True:
            try:
                name, detail = self._reports.get(timeout=TIMEOUT)
            except queue.Empty:
                pytest.fail(f"no {event!r} within {TIMEOUT} s; other events: {seen}")
            if name == event:
                return detail
            seen.append(name)

    def send_command(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def join(self, session: str = SESSION) -> Any:
        self.send_command(f"join {session}")
        return self.wait_for("joined")


@contextmanager
def run_node(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script of this folder; it ends at the end of its standard input."""
    process = subprocess.Popen(
        [find_node(*PACKAGES), *arguments],
        cwd=HERE,
        env=os.environ | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def open_page(server: Server, application: Application, *token: str) -> Iterator[Page]:
    cookie = "" if token else application.cookie
    with run_node("express_page.js", server.url, cookie, *token) as process:
        yield Page(process)


class Deployment:
    """The hub and the application, which share a session store."""

    def __init__(self, directory: Path, kind: str, store: str) -> None:
        self.directory = directory
        self._settings = {
            "SESSION_SECRET": SESSION_SECRET,
            "HEXTRACKR_INGEST_TOKENS": f"express:progress+admin:{PRODUCER_SECRET}",
            ("SESSIONS_DATABASE" if kind == "sqlite" else "SESSIONS_URL"): store,
        }
        self._arguments = (kind, store)

    def run_hub(self, port: int = 0) -> Any:
        return program.run_server(self.directory, port, **self._settings)

    @contextmanager
    def run_application(self, hub: Server) -> Iterator[Application]:
        variables = {
            "JWT_SECRET": program.SECRET,
            "HEXTRACKR_REALTIME_URL": hub.url,
            "HEXTRACKR_INGEST_TOKEN": PRODUCER_SECRET,
            "SESSION_SECRET": SESSION_SECRET,
        }
        with run_node("express_app.js", *self._arguments, **variables) as process:
            assert process.stdout is not None
            yield Application(int(process.stdout.readline()))


def wait_until_stored(database: Path, progress: int) -> None:
    """Wait until the hub has stored a progress, which it does within a second."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            states = connection.execute("SELECT state FROM external_imports").fetchall()
        if any(json.loads(state)["overall"] == progress for (state,) in states):
            return
        time.sleep(0.05)
    pytest.fail(f"the hub did not store the progress within {TIMEOUT} s")


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(
    params=[pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.postgres)]
)
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    if request.param == "sqlite":
        return Deployment(tmp_path, "sqlite", str(tmp_path / "sessions.db"))
    return Deployment(tmp_path, "postgres", request.getfixturevalue("postgres_url"))


def test_s018_s019_page_of_express_follows_its_imports_from_login_to_logout(
    deployment: Deployment,
) -> None:
    with deployment.run_hub() as hub, deployment.run_application(hub) as application:
        application.log_in()
        with open_page(hub, application) as page:
            page.wait_for("connect")
            assert page.join()["success"]
            application.report("start")
            update = page.wait_for("progress-update")
            assert (update["progress"], update["message"]) == (40, "Processing batch 1/3")
            application.report("complete")
            complete = page.wait_for("progress-complete")
            assert (complete["progress"], complete["status"]) == (100, "completed")
            assert complete["metadata"]["totalRows"] == 300
            summary = complete["metadata"]["importSummary"]["cveDiscovery"]
            assert summary["newCves"][0]["cve"] == "CVE-2024-1000"
            page.join("import-2")
            application.report("fail", "import-2")
            assert page.wait_for("progress-error")["sessionId"] == "import-2"
            assert page.wait_for("progress-status")["status"] == "error"
            assert application.request("POST", "/logout")[0] == 200
            assert page.wait_for("disconnect") == "io server disconnect"
        assert application.request("GET", "/me")[1] == {"id": None}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_s112_import_of_express_completes_on_its_page_when_the_hub_restarts_meanwhile(
    deployment: Deployment, number: signal.Signals
) -> None:
    # HEXTRACKR_SHUTDOWN_DISCONNECT=false: this page uses the reconnection of the library.
    deployment._settings["HEXTRACKR_SHUTDOWN_DISCONNECT"] = "false"
    port = reserve_port()
    with deployment.run_hub(port) as hub, deployment.run_application(hub) as application:
        application.log_in()
        with open_page(hub, application) as page:
            page.wait_for("connect")
            page.join()
            for step, progress in (("start", 40), ("continue", 95)):
                application.report(step)
                while page.wait_for("progress-update")["progress"] < progress:
                    pass
            wait_until_stored(hub.database, 95)
            hub.stop(number)
            assert page.wait_for("disconnect") == "transport close"
            with deployment.run_hub(port):
                page.wait_for("connect")
                status = page.wait_for("joined")["status"]
                assert status["status"] == "processing"
                assert status["progress"] == 95
                assert "restarted" in status["message"]
                application.report("complete")
                complete = page.wait_for("progress-complete")
                assert (complete["progress"], complete["status"]) == (100, "completed")
                assert complete["metadata"]["totalRows"] == 300


def test_s020_page_without_a_login_is_refused_with_the_reason(deployment: Deployment) -> None:
    with deployment.run_hub() as hub, deployment.run_application(hub) as application:
        assert application.request("GET", "/csrf")[0] == 200
        with open_page(hub, application) as page:
            assert page.wait_for("connect_error")["code"] == "UNAUTHORIZED"
        wrong = application.request("POST", "/login", {"username": "alice", "password": "wrong"})
        assert wrong[0] == 401
        application.log_in()
        with open_page(hub, application) as page:
            page.wait_for("connect")
        old = Application(application._port)
        old.cookie = application.cookie
        application.request("POST", "/logout")
        with open_page(hub, old) as page:
            assert page.wait_for("connect_error")["code"] in {"SESSION_EXPIRED", "UNAUTHORIZED"}


def test_s022_page_is_connected_as_the_user_that_passport_stores(deployment: Deployment) -> None:
    with deployment.run_hub() as hub, deployment.run_application(hub) as application:
        application.log_in()
        with open_page(hub, application) as page:
            page.wait_for("connect")
            _, log = hub.stop()
    (line,) = [line for line in log.splitlines() if " connected " in line]
    assert "user=7" in line


def test_s043_s044_token_of_jsonwebtoken_authenticates_a_page_through_settings(
    deployment: Deployment,
) -> None:
    with deployment.run_hub() as hub, deployment.run_application(hub) as application:
        application.log_in()
        token = application.request("GET", "/token")[1]["token"]
        with open_page(hub, application, token) as page:
            refusal = page.wait_for("connect_error")
            assert refusal["code"] == "UNAUTHORIZED"
            assert "exp" in refusal["message"]
    deployment._settings |= {
        "HEXTRACKR_JWT_MAX_AGE": "3600",
        "HEXTRACKR_ROLE_NAMES": "manager=admin",
    }
    with deployment.run_hub() as hub, open_page(hub, application, token) as page:
        page.wait_for("connect")
        _, log = hub.stop()
    (line,) = [line for line in log.splitlines() if " connected " in line]
    assert "user=7" in line
