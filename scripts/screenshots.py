"""Write screenshots of the pages to build/screenshots; with --write, update those of the documents.

The screenshots of README.md and docs/ are in docs/images.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.png import compress  # noqa: E402
from tests.dashboard.hub import running_hub  # noqa: E402
from tests.dashboard.support import (  # noqa: E402
    CLIENT,
    Browser,
    require_build,
    running_browser,
)
from tests.interop.support import serving  # noqa: E402

FOLDER = ROOT / "build" / "screenshots"
IMAGES = ROOT / "docs" / "images"
#: The screenshots that the documents show.
DOCUMENTED = (
    "exploited-light.png", "findings-dark.png", "findings-phone.png", "imports-light.png",
    "overview-light.png", "playground-light.png",
)  # fmt: skip


def main() -> None:
    """Take all screenshots, and print their paths."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="update docs/images")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with running_browser() as browser:
        take_playground(browser)
        take_dashboard(browser)
    for path in sorted(FOLDER.glob("*.png")):
        print(path.relative_to(ROOT))
    if options.write:
        IMAGES.mkdir(exist_ok=True)
        for name in DOCUMENTED:
            image = compress((FOLDER / name).read_bytes())
            (IMAGES / name).write_bytes(image)
            print(f"{(IMAGES / name).relative_to(ROOT)}  {len(image) // 1024} KB")


def take_playground(browser: Browser) -> None:
    """Take the screenshots of the playground, on the server of its example."""
    spec = importlib.util.spec_from_file_location("example", ROOT / "examples" / "playground.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    os.environ["SOCKETIO_CLIENT_DIST"] = str(CLIENT)
    with serving(example.make_server()) as (url, _):
        browser.run("screenshots.js", "playground", {"url": url, "folder": str(FOLDER)})


def take_dashboard(browser: Browser) -> None:
    """Take the screenshots of the dashboard, on a hub with samples."""
    require_build()
    with tempfile.TemporaryDirectory() as folder, running_hub(Path(folder)) as hub:
        hub.fill(3000)
        given = {
            "url": hub.url,
            "folder": str(FOLDER),
            "token": hub.token("ada", "admin"),
            "file": str(hub.sample(400, 9)),
        }
        for case in ("dashboard", "sign-in"):
            browser.run("screenshots.js", case, given)


if __name__ == "__main__":
    main()
