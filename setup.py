"""Commands of setuptools that put the build of the dashboard into archives; see pyproject.toml.

An sdist requires the build, so that an installation from it needs no Node. A wheel from a clone
contains the build if Node can make it, because the Socket.IO server does not need the page; the
variable BUILD_DASHBOARD=require makes it an error, BUILD_DASHBOARD=skip omits the build.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
SCRIPT = ROOT / "scripts" / "build-dashboard"


def build_dashboard(*, required: bool) -> None:
    """Build the page unless it is up to date; raise SystemExit if it is required and fails."""
    command = [str(SCRIPT)] if required else [str(SCRIPT), "--optional"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise SystemExit("The archive requires the dashboard: see the message above")


class BuildWithDashboard(build_py):
    """The copy of the packages and of their data, after the build of the page."""

    def run(self) -> None:
        """Build the page for a wheel; an editable installation uses that of `make dashboard`."""
        wanted = os.environ.get("BUILD_DASHBOARD", "")
        if not self.editable_mode and wanted != "skip":
            build_dashboard(required=wanted == "require")
            self.__dict__.pop("data_files", None)  # setuptools lists them once
        super().run()


class SdistWithDashboard(sdist):
    """The source archive, which contains the built page."""

    def run(self) -> None:
        """Build the page, which the archive requires."""
        build_dashboard(required=True)
        super().run()


setup(cmdclass={"build_py": BuildWithDashboard, "sdist": SdistWithDashboard})
