"""Uploads to the dashboard in Chromium: each case of `uploads.js` is one test."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hextrackr_server.kev_support import feed, item

from .hub import Hub, running_hub
from .support import Browser, find_cases, require_build

pytestmark = pytest.mark.timeout(900)

SCRIPT = "uploads.js"
HEADER = (
    "asset.name", "asset.display_ipv4_address", "definition.id", "definition.cve",
    "definition.name", "definition.description", "definition.solution", "definition.family",
    "severity", "asset.operating_system",
)  # fmt: skip
#: Text that runs if a page, a style or a spreadsheet takes it for code.
HOSTILE = (
    "<img src=x onerror=\"window.ran='img'\">",
    "<script>window.ran='script'</script>",
    "\"><svg onload=window.ran='svg'>",
    "javascript:window.ran='url'",
    '=HYPERLINK("javascript:window.ran=\'cell\'","click")',
    "{{constructor.constructor('window.ran=1')()}}${window.ran=1}",
    "</textarea></title></style><iframe srcdoc='<script>parent.ran=1</script>'>",
    "@import 'https://evil.example/x.css'; \u202e\u0000\ufeff",
)


def write_hostile(path: Path) -> Path:
    """Write an export with markup and formulas in every cell that accepts text."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number, text in enumerate(HOSTILE):
            clean = text.replace("\0", "")
            cells = dict.fromkeys(HEADER, clean)
            cells["definition.id"] = str(number + 1)
            cells["definition.cve"] = f"CVE-2031-{1000 + number}"
            writer.writerow(cells[name] for name in HEADER)
            # Rejected rows and warnings show the cells of the file too.
            writer.writerow(dict.fromkeys(HEADER, clean).values())
            writer.writerow(
                (cells | {"definition.cve": clean, "asset.name": f"{clean}{number}"}).values()
            )
    return path


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    require_build()
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def files(hub: Hub) -> dict[str, str]:
    def write(name: str, text: str) -> str:
        path = hub.directory / name
        path.write_text(text)
        return str(path)

    entries = [
        item(
            f"CVE-2031-{1000 + number}",
            **dict.fromkeys(
                ("vendorProject", "product", "vulnerabilityName", "requiredAction", "notes"),
                text.replace("\0", ""),
            ),
        )
        for number, text in enumerate(HOSTILE)
    ]
    assert hub.request("POST", "/api/kev/sync", content=feed(*entries)).status_code == 200
    header = "asset.name,definition.id,definition.cve,severity\n"
    return {
        "sample": str(hub.sample(2000)),
        "small": write("small.csv", f"{header}a,1,CVE-2030-1000,High\nb,2,CVE-2030-1001,Low\n"),
        "other": write("other.csv", f"{header}c,1,CVE-2030-1000,High\n"),
        "unknown": write("unknown.csv", "Location,Devices\nBerlin,7\n"),
        "hostile": str(write_hostile(hub.directory / "<b>hostile.csv")),
    }


@pytest.mark.parametrize("case", find_cases(SCRIPT))
def test_case_passes_in_chromium(
    browser: Browser, hub: Hub, files: dict[str, str], case: str
) -> None:
    given = {"url": hub.url, "token": hub.token("1", "admin"), "explanation": "format", **files}
    browser.run(SCRIPT, case, given)
