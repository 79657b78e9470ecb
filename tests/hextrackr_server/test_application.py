"""Tests of the whole server through its clients and commands."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server import __main__ as command_line
from hextrackr_server.application import Application
from hextrackr_server.cli.sample import write_sample
from hextrackr_server.config.settings import Settings
from tests.hextrackr_server.client import Client, Refused, connected
from tests.hextrackr_server.support import SECRET, csv_text, finding_row

SERVE = (sys.executable, "-m", "hextrackr_server", "serve", "--dev")
ROWS = [finding_row(host=f"h-{number}") for number in range(50)]


class Site:
    """A running server with tokens and clients of its users."""

    def __init__(self, application: Application, url: str, directory: Path) -> None:
        self.application = application
        self.url = url
        self.directory = directory

    def token(self, user: str = "7", role: str = "user") -> str:
        return self.application.services.authority.sign(user, role=role)

    def client(self, user: str = "7", role: str = "user") -> Any:
        return connected(self.url, {"token": self.token(user, role)})

    async def upload(self, path: str, content: str, user: str = "7") -> dict[str, Any]:
        """Upload a file over HTTP."""

        def post() -> dict[str, Any]:
            headers = {"authorization": f"Bearer {self.token(user)}", "content-type": "text/csv"}
            request = urllib.request.Request(self.url + path, content.encode(), headers)
            with urllib.request.urlopen(request, timeout=300) as response:
                answer: dict[str, Any] = json.load(response)
                return answer

        return await asyncio.to_thread(post)

    def findings(self) -> int:
        with self.application.database.reading() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM vulnerabilities_current")
            return int(count.scalar_one())


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    settings = Settings(
        host="127.0.0.1",
        port=0,
        database=tmp_path / "site.db",
        jwt_secret=SECRET,
        cors_origins=("https://app.example",),
        log_format="human",
        dev=False,
    )
    application = Application(settings)
    port = await application.listen()
    yield Site(application, f"http://127.0.0.1:{port}", tmp_path)
    await application.io.shutdown()


async def started(client: Client, content: str) -> int:
    payload = {"source": "inline", "filename": "scan.csv", "csv": content}
    answer = await client.emit_with_ack("start-import", payload)
    assert answer["success"], answer
    return int(answer["importId"])


# -- authentication


async def test_client_with_a_token_in_auth_joins_its_rooms(site: Site) -> None:
    async with site.client() as client:
        site.application.io.to("authenticated").emit("to-all")
        site.application.io.to("user-7").emit("to-me")
        site.application.io.to("user-8").emit("to-another")
        await client.receive_event("to-me")
        assert [name for name, _ in client.events] == ["to-all", "to-me"]


async def test_client_with_a_bearer_header_is_connected(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.token()}"}
    async with connected(site.url, headers=headers) as client:
        assert (await client.emit_with_ack("get-vulnerability-stats"))["success"]


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (None, "Authentication required"),
        ({}, "Authentication required"),
        ({"userId": "1", "role": "admin"}, "Authentication required"),
        ({"token": "forged"}, "Invalid token"),
    ],
)
async def test_client_without_a_valid_token_is_refused_with_a_reason(
    site: Site, auth: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(Refused) as refusal:
        async with connected(site.url, auth):
            pass
    assert refusal.value.answer["message"] == message
    assert refusal.value.answer["data"] == {"code": "UNAUTHORIZED", "type": "UnauthorizedError"}


async def test_client_with_the_id_of_another_user_is_refused(site: Site) -> None:
    with pytest.raises(Refused) as refusal:
        async with connected(site.url, {"token": site.token("7"), "userId": "8"}):
            pass
    assert refusal.value.answer["data"]["code"] == "UNAUTHORIZED"


# -- imports


async def test_import_is_followed_from_start_to_end(site: Site) -> None:
    async with site.client() as client:
        number = await started(client, csv_text([*ROWS, ["", "", "", "", ""]][:50]))
        answer = await client.emit_with_ack("join-import-room", number)
        assert answer["success"]
        assert answer["status"]["importId"] == number
        finished = await client.receive_event("import-finished")
        assert (finished["status"], finished["totalProcessed"], finished["errors"]) == (
            "completed",
            50,
            0,
        )
        assert finished["summary"]["inserted"] == site.findings() == 50
        stats = await client.emit_with_ack(
            "get-vulnerability-stats", {"filters": {"severity": "high"}}
        )
        assert stats["data"]["bySeverity"]["high"]["count"] == 50
        assert stats["data"]["lastImport"]["importId"] == number


async def test_client_that_joins_early_receives_all_progress(site: Site) -> None:
    async with site.client() as client:
        first = await started(client, csv_text(ROWS * 20))
        second = await started(client, csv_text(ROWS))
        assert (await client.emit_with_ack("join-import-room", str(second)))["success"]
        completed = await client.receive_event("import-completed")
        assert completed["importId"] == second
        progress = [p for p in client.payloads("import-progress") if p["importId"] == second]
        percentages = [each["percentage"] for each in progress]
        assert percentages == sorted(percentages)
        assert percentages[-1] == 100
        assert all(each["progress"]["percentage"] == each["percentage"] for each in progress)
        assert [p["importId"] for p in client.payloads("import-started")] == [first, second]


async def test_client_that_joins_after_the_end_receives_the_result(site: Site) -> None:
    async with site.client() as client:
        number = await started(client, csv_text(ROWS))
        await client.receive_event("import-finished")
        status = (await client.emit_with_ack("join-import-room", number))["status"]
        assert (status["status"], status["percentage"]) == ("completed", 100)
        assert status["result"]["summary"]["inserted"] == 50


async def test_failed_import_reports_its_reason_and_missing_columns(site: Site) -> None:
    async with site.client() as client:
        await started(client, "Location,Devices\n1,2\n")
        failed = await client.receive_event("import-failed")
        assert (failed["status"], failed["code"]) == ("failed", "VALIDATION_ERROR")
        assert [each["path"] for each in failed["fields"]] == ["header", "header"]
        assert site.findings() == 0


async def test_uploaded_file_is_imported_over_the_socket(site: Site) -> None:
    upload = await site.upload("/api/imports/upload?filename=s.csv", csv_text(ROWS))
    async with site.client() as client:
        payload = {"source": "upload", "uploadId": upload["uploadId"], "vendor": "cisco"}
        answer = await client.emit_with_ack("start-import", payload)
        assert set(answer) == {"success", "importId", "sessionId", "status", "totalRecords"}
        assert (await client.receive_event("import-started"))["filename"] == "s.csv"
        await client.receive_event("import-finished")
        again = await client.emit_with_ack("start-import", payload)
        assert (again["success"], again["code"]) == (False, "NOT_FOUND")


async def test_import_over_http_notifies_the_sockets_of_its_user(site: Site) -> None:
    async with site.client("7") as mine, site.client("8") as others:
        answer = await site.upload("/api/imports?filename=s.csv", csv_text(ROWS))
        assert (await mine.receive_event("import-finished"))["importId"] == answer["importId"]
        await others.emit_with_ack("leave-import-room", 1)
        assert {name for name, _ in others.events} <= {
            "vulnerability-change",
            "vulnerability-updated",
        }


async def test_client_that_left_the_room_receives_no_more_events(site: Site) -> None:
    async with site.client() as client:
        await started(client, csv_text(ROWS * 20))
        number = await started(client, csv_text(ROWS))
        assert (await client.emit_with_ack("join-import-room", number))["success"]
        assert await client.emit_with_ack("leave-import-room", number) == {"success": True}
        assert await client.emit_with_ack("leave-import-room", number) == {"success": True}
        await client.receive_event("import-finished", 2)
        assert client.payloads("import-completed") == []


async def test_import_of_another_user_can_be_followed_by_administrators_only(site: Site) -> None:
    async with (
        site.client("7") as owner,
        site.client("8") as other,
        site.client("1", "admin") as admin,
    ):
        number = await started(owner, csv_text(ROWS))
        refused = await other.emit_with_ack("join-import-room", number)
        assert refused == {
            "success": False,
            "error": "There is no such import",
            "code": "NOT_FOUND",
        }
        assert await other.emit_with_ack("join-import-room", 999) == refused
        assert (await admin.emit_with_ack("join-import-room", number))["success"]
        await owner.receive_event("import-finished")
        assert {name for name, _ in other.events} <= {
            "vulnerability-change",
            "vulnerability-updated",
        }


# -- invalid requests


@pytest.mark.parametrize("number", [None, {}, [1], "x y", "1; --", -1, 0, 1.5, True, ""])
async def test_invalid_import_id_is_refused(site: Site, number: Any) -> None:
    async with site.client() as client:
        for event in ("join-import-room", "leave-import-room"):
            answer = await client.emit_with_ack(event, number)
            assert (answer["success"], answer["code"]) == (False, "VALIDATION_ERROR")
            assert answer["fields"][0]["path"] == "importId"


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (None, "source"),
        ("x", "source"),
        ({}, "source"),
        ({"source": "disk", "path": "/etc/passwd"}, "source"),
        ({"source": "path"}, "path"),
        ({"source": "external", "totalRecords": -1}, "totalRecords"),
        ({"source": "external", "totalRecords": "many"}, "totalRecords"),
        ({"source": "upload"}, "uploadId"),
        ({"source": "inline", "filename": "x.csv"}, "csv"),
        ({"source": "inline", "filename": "x.csv", "csv": "", "rows": [{}]}, "csv"),
        ({"source": "inline", "filename": "x.csv", "rows": []}, "rows"),
        ({"source": "inline", "filename": "x.csv", "rows": [{}, 5]}, "rows[1]"),
        ({"source": "inline", "filename": "x.csv", "rows": [{"cve": ["x"]}]}, "rows[0]"),
        ({"source": "inline", "filename": "x.csv", "rows": [{"cve": "CVE-2024-1000"}]}, "header"),
        ({"source": "inline", "filename": "x.csv", "csv": "x", "confirm": "yes"}, "confirm"),
        ({"source": "inline", "filename": "x.csv", "csv": "x", "mapping": "["}, "mapping"),
        ({"source": "inline", "filename": "x", "csv": "x", "mapping": 'id = "nessus"'}, "mapping"),
        ({"source": "inline", "filename": "x", "csv": "x", "mapping": " " * 66_000}, "mapping"),
        ({"source": "inline", "filename": 5, "csv": ""}, "filename"),
        ({"source": "inline", "filename": "x.csv", "csv": "", "scanDate": "soon"}, "scanDate"),
    ],
)
async def test_invalid_import_request_is_refused_with_its_field(
    site: Site, payload: Any, path: str
) -> None:
    async with site.client() as client:
        answer = await client.emit_with_ack("start-import", payload)
        assert (answer["success"], answer["code"]) == (False, "VALIDATION_ERROR")
        assert answer["fields"][0]["path"] == path


async def test_unknown_filters_are_refused_with_the_known_names(site: Site) -> None:
    async with site.client() as client:
        answer = await client.emit_with_ack("get-vulnerability-stats", {"filters": {"owner": "me"}})
        filters: dict[str, Any] = {"severity": "high", "isKev": True, "vendor": "CISCO"}
        filters |= {"source": "nessus", "cve": "CVE-2024-1000", "host": "web-*"}
        filters |= {"hostname": "web-1", "search": "ssh"}
        filters |= {"scanDate": "2025-09-30", "since": "2025-09-30"}
        text = "is not a known filter; use one of: " + ", ".join(filters)
        assert answer["fields"] == [{"path": "owner", "message": text}]
        assert (await client.emit_with_ack("get-vulnerability-stats", filters))["success"]


async def test_invalid_choice_is_refused_with_the_valid_ones(site: Site) -> None:
    async with site.client() as client:
        answer = await client.emit_with_ack("start-import", {"source": "file"})
        text = "must be one of upload, inline, path, external"
        assert answer["fields"] == [{"path": "source", "message": text}]
        answer = await client.emit_with_ack("get-data", {"resource": "hosts"})
        assert answer["fields"][0]["message"].startswith(
            "must be one of findings, vulnerabilities, "
        )
        answer = await client.emit_with_ack(
            "get-data", {"resource": "kev", "filters": {"cve": "x"}}
        )
        text = "is not a known filter; use one of: search, matched"
        assert answer["fields"] == [{"path": "cve", "message": text}]


async def test_events_without_an_ack_are_harmless(site: Site) -> None:
    async with site.client() as client:
        for event in ("start-import", "join-import-room", "leave-import-room"):
            await client.emit(event)
            await client.emit(event, {"x": 1}, 2, 3)
        await client.emit("get-vulnerability-stats")
        await client.emit("get-vulnerability-stats", {"bad": 1})
        assert (await client.emit_with_ack("get-vulnerability-stats"))["success"]


async def test_invalid_packet_closes_its_client_only(site: Site) -> None:
    async with site.client() as other:
        async with site.client() as client:
            await client.send("42[broken")
            await asyncio.wait_for(client.reader, 300)
        assert (await other.emit_with_ack("get-vulnerability-stats"))["success"]


# -- commands


async def test_import_command_imports_and_prints_the_result(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.directory / "sample.csv"
    write_sample(file, 300, 1)
    arguments = ["import", str(file), "--url", site.url, "--token", site.token()]
    assert await asyncio.to_thread(command_line.main, arguments) == 0
    output = capsys.readouterr()
    assert "completed in" in output.out
    assert "format     tenable_vm" in output.out
    assert (
        "row 98: definition.cve: 'pending': not a CVE ID (expected e.g. CVE-2024-1000)"
        in output.out
    )
    assert "missing findings are left open: an export of this format does not" in output.out
    assert "uploading" in output.err


async def test_import_command_prints_the_missing_columns_of_an_unrelated_file(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.directory / "tickets.csv"
    file.write_text("Location,Devices\n1,2\n")
    arguments = ["import", str(file), "--url", site.url, "--token", site.token()]
    assert await asyncio.to_thread(command_line.main, arguments) == 1
    error = capsys.readouterr().err
    assert "no known format has these columns (row 1): 'Location', 'Devices'" in error
    assert "header: lacks 'definition.id'" in error


async def test_import_command_sends_a_mapping(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file, mapping = site.directory / 'ours "1".csv', site.directory / "ours.toml"
    file.write_text("Machine,Check,Level\nh-1,77,p1\n")
    mapping.write_text(
        'id = "ours"\n[columns]\nhost = ["Machine"]\nplugin_id = ["Check"]\n'
        'severity = ["Level"]\n[severities]\np1 = "Critical"\n# ' + "x" * 10_000
    )
    arguments = ["import", str(file), "--url", site.url, "--token", site.token()]
    arguments += ["--mapping", str(mapping), "--yes", "--scan-date", "2030-01-02"]
    assert await asyncio.to_thread(command_line.main, arguments) == 0
    output = capsys.readouterr().out
    assert "format     ours" in output
    assert "scan date  2030-01-02" in output
    assert site.findings() == 1
    mapping.write_text('[columns]\nhots = ["Machine"]\n')
    assert await asyncio.to_thread(command_line.main, arguments) == 1
    assert "unknown field 'hots': did you mean 'host'?" in capsys.readouterr().err


async def test_import_command_imports_a_cut_file_on_request(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.directory / "cut.csv"
    file.write_text('hostname,cve,severity\nh-1,CVE-2030-1001,High\nh-2,"CVE-2030')
    arguments = ["import", str(file), "--url", site.url, "--token", site.token()]
    assert await asyncio.to_thread(command_line.main, arguments) == 1
    error = capsys.readouterr().err
    assert "the file is incomplete: the quote that opens in row 3" in error
    assert '"Read a file that breaks off" on the page, --allow-partial' in error
    assert site.findings() == 0
    assert await asyncio.to_thread(command_line.main, [*arguments, "--allow-partial"]) == 0
    assert capsys.readouterr().out.startswith("WARNING: the file is incomplete")
    assert site.findings() == 1


async def test_export_command_writes_the_findings(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    async with site.client() as client:
        await started(client, csv_text(ROWS))
        await client.receive_event("import-finished")
    file = site.directory / "all.json"
    arguments = ["export", str(file), "--url", site.url, "--token", site.token()]
    assert await asyncio.to_thread(command_line.main, [*arguments, "--state", "all"]) == 0
    assert capsys.readouterr().out == f"wrote {file}: {file.stat().st_size:,} bytes\n"
    assert len(json.loads(file.read_text())) == site.findings() > 0
    file.unlink()
    assert await asyncio.to_thread(command_line.main, [*arguments, "--severity", "bad"]) == 1
    assert "severity: must be one or a list of" in capsys.readouterr().err
    assert not [each for each in site.directory.iterdir() if each.name.startswith("all.json")]
    arguments[-1] = "bad"
    assert await asyncio.to_thread(command_line.main, arguments) == 1
    assert "the server rejects the token" in capsys.readouterr().err


async def test_socket_import_accepts_all_options(site: Site) -> None:
    payload = {
        "source": "inline",
        "filename": "x.csv",
        "csv": "Machine,Check\nh-1,77\nh-2,7",
        "scope": "full",
        "confirm": True,
        "allowPartial": True,
        "mapping": '[columns]\nhost = ["Machine"]\nplugin_id = ["Check"]',
    }
    async with site.client() as client:
        assert (await client.emit_with_ack("start-import", payload))["success"]
        summary = (await client.receive_event("import-finished"))["summary"]
        assert (summary["profile"], summary["scope"], summary["inserted"]) == ("mapping", "full", 2)


async def test_import_command_reports_an_invalid_token(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site.directory / "large.csv"
    write_sample(file, 5000, 1)
    arguments = ["import", str(file), "--url", site.url, "--token", "bad"]
    assert await asyncio.to_thread(command_line.main, arguments) == 1
    assert "the server rejects the token (Invalid token)" in capsys.readouterr().err


async def test_configured_origin_is_allowed_over_http(site: Site) -> None:
    def fetch() -> str | None:
        headers = {"origin": "https://app.example"}
        request = urllib.request.Request(site.url + "/health", headers=headers)
        with urllib.request.urlopen(request, timeout=300) as response:
            allowed: str | None = response.headers["access-control-allow-origin"]
            return allowed

    assert await asyncio.to_thread(fetch) == "https://app.example"


def test_port_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        served = subprocess.run(
            [*SERVE, "--port", str(port), "--database", str(tmp_path / "x.db")],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert served.returncode == 1
    assert served.stderr == (
        f"hextrackr-server: cannot listen on 127.0.0.1 port {port}: Address already in use; "
        "choose another --port\n"
    )


def test_development_server_prints_commands_that_work(tmp_path: Path) -> None:
    command = [*SERVE, "--port", "0", "--database", str(tmp_path / "x.db")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            banner = "".join(iter(server.stdout.readline, "\n"))
            advice = [server.stdout.readline() for _ in range(3)]
            assert "admin token" in banner
            assert "user token" in banner
            for line in advice[1:]:
                arguments = [sys.executable, "-m", "hextrackr_server", *line.split()[1:]]
                tried = subprocess.run(
                    arguments,
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=False,
                )
                assert tried.returncode == 0, tried.stderr
            assert "completed in" in tried.stdout
        finally:
            server.send_signal(signal.SIGTERM)
            _, log = server.communicate(timeout=300)
    assert server.returncode == 0
    assert log.rstrip().endswith("stopping  signal=SIGTERM")
