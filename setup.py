"""Commands of setuptools that put built files into archives; see pyproject.toml.

These are the page of the dashboard, which Node builds, and the bundles of the official client,
which come from npm. An sdist requires both, so that an installation from it needs neither Node nor
network. A wheel from a clone contains them if the machine can make them, because the server works
without them. The variables BUILD_DASHBOARD and BUILD_CLIENT change that: `require` makes a missing
part an error, `skip` omits it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
SCRIPTS = ROOT / "scripts"
#: The parts by the variable that controls them: what an error calls them, and their command.
PARTS = {
    "BUILD_DASHBOARD": ("the dashboard", [str(SCRIPTS / "build-dashboard")]),
    "BUILD_CLIENT": (
        "the bundles of the client",
        [sys.executable, str(SCRIPTS / "client_bundles.py")],
    ),
}


def build(variable: str, *, required: bool) -> None:
    """Build a part unless it is up to date; raise SystemExit if it is required and fails."""
    name, command = PARTS[variable]
    options = [] if required else ["--optional"]
    if subprocess.run([*command, *options], cwd=ROOT, check=False).returncode:
        raise SystemExit(f"The archive requires {name}: see the message above")


class BuildWithParts(build_py):
    """The copy of the packages and of their data, after the build of the parts."""

    def run(self) -> None:
        """Build the parts for a wheel; an editable installation uses those of the clone."""
        if not self.editable_mode:
            for variable in PARTS:
                wanted = os.environ.get(variable, "")
                if wanted != "skip":
                    build(variable, required=wanted == "require")
            self.__dict__.pop("data_files", None)  # setuptools lists them once
        super().run()


class SdistWithParts(sdist):
    """The source archive, which contains the built parts."""

    def run(self) -> None:
        """Build the parts, which the archive requires."""
        for variable in PARTS:
            build(variable, required=True)
        super().run()


setup(cmdclass={"build_py": BuildWithParts, "sdist": SdistWithParts})
