"""Commands of setuptools that put built files into archives; see pyproject.toml.

These are the page of the dashboard, which Node builds, and the bundles of the official client,
which come from npm. An sdist requires both, so that an installation from it needs neither Node nor
network. A wheel from a clone contains them if the machine can make them, because the server works
without them. The variables BUILD_DASHBOARD and BUILD_CLIENT change that: `require` makes a missing
part an error, `skip` omits it.

Archives also contain the commit of the clone (hextrackr_server/commit.txt), and wheels a list of
the packages inside those parts (PEP 770).

A wheel also has compiled modules where that is possible; scripts/compiled describes that, and the
variable BUILD_COMPILED.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
SCRIPTS = ROOT / "scripts"
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "compiled")]
from extension_modules import Build  # noqa: E402 - these folders are not packages
from sbom import serialize, wheel_sbom  # noqa: E402

COMPILATION = Build(sys.argv)
COMMIT_FILE = Path("hextrackr_server/commit.txt")
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


def write_commit(folder: Path) -> None:
    """Write the commit of the clone into a folder of an archive; "+" stands for changed files.

    A source archive has the file already, and no clone.
    """
    if (ROOT / ".git").exists():
        head = git("rev-parse", "HEAD").strip()
        if head:
            changed = "+" if git("status", "--porcelain", "-uno") else ""
            (folder / COMMIT_FILE).write_text(f"{head}{changed}\n", "utf-8")


def git(*arguments: str) -> str:
    """Return the output of Git, which is empty if the command fails."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout


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
        if not self.editable_mode:
            write_commit(Path(self.build_lib))
            COMPILATION.write_reason(Path(self.build_lib))


class SdistWithParts(sdist):
    """The source archive, which contains the built parts."""

    def run(self) -> None:
        """Build the parts, which the archive requires."""
        for variable in PARTS:
            build(variable, required=True)
        super().run()

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Copy the files, and add the commit."""
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir))


class WheelWithSbom(bdist_wheel):
    """The wheel, with the list of the packages inside the page and the bundles."""

    def write_wheelfile(self, wheelfile_base: str, *arguments: object, **options: object) -> None:
        """Write the file WHEEL, and the list into the same folder."""
        super().write_wheelfile(wheelfile_base, *arguments, **options)
        folder = Path(wheelfile_base) / "sboms"
        folder.mkdir(exist_ok=True)
        (folder / "hextrackr-server.cdx.json").write_text(serialize(wheel_sbom(ROOT)), "utf-8")


# A general remark on each editable installation; `make run` would print it to new users.
warnings.filterwarnings("ignore", message=r"\s*Editable installation")
setup(
    cmdclass={
        "build_py": BuildWithParts,
        "build_ext": COMPILATION.command(),
        "sdist": SdistWithParts,
        "bdist_wheel": WheelWithSbom,
    },
    ext_modules=COMPILATION.extensions,
)
