"""The systemd unit and the nginx configuration of `deploy`, examined by the programs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.proxies.proxies import CERTIFICATE, KEY, find

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNIT = DEPLOY / "hextrackr-server.service"
#: The rating of `systemd-analyze security` in tenths: 0 is best, 100 is a unit without options.
WORST_RATING = 15
LIMIT = 300.0


def run(*command: str | Path) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("hextrackr-server")
    text = UNIT.read_text("utf-8").replace("/opt/hextrackr/bin/hextrackr-server", str(program))
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    output = run(find("systemd-analyze"), "verify", copy)
    assert UNIT.name not in output, output


def test_unit_has_little_access_to_the_machine() -> None:
    analyze = find("systemd-analyze")
    output = run(analyze, "security", "--offline=true", f"--threshold={WORST_RATING}", UNIT)
    assert "Overall exposure level" in output


def test_nginx_accepts_the_configuration_of_compose(tmp_path: Path) -> None:
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    text = text.replace("http://hub:8080", "http://127.0.0.1:1").replace(
        "listen 443", "listen 1443"
    )
    text = re.sub(r"/etc/\S+\.key", str(KEY), re.sub(r"/etc/\S+\.pem", str(CERTIFICATE), text))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ {text} }}"
    )
    run(find("nginx"), "-t", "-p", tmp_path, "-c", "nginx.conf")
