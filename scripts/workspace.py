"""Paths of this repository, the pinned toolchain, and functions that generate projects from the work tree."""

import os
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import copier

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template"
BUILD = ROOT / "build"
"""Projects that the commands of this repository generate."""
TARGET_DIR = ROOT / "target"
"""The target folder that the commands and the tests share, so that crates are compiled once."""


@cache
def nightly() -> str:
    """Return the toolchain that the template pins, such as `nightly-2026-10-15`."""
    return tomllib.loads((TEMPLATE / "rust-toolchain.toml").read_text())["toolchain"]["channel"]


def cargo(*args: str, cwd: Path) -> str:
    """Run the pinned nightly's cargo in `cwd` and return its standard output.

    Raises `subprocess.CalledProcessError` if cargo fails. Standard error is not captured.
    """
    command = ["rustup", "run", nightly(), "cargo", *args]
    return subprocess.run(command, cwd=cwd, check=True, text=True, stdout=subprocess.PIPE).stdout


def search_path() -> str:
    """Return a `PATH` that starts with the `ic-wasm` and `icp` that `setup.sh` installed, and with `.venv/bin`."""
    packages = sorted((ROOT / "scripts/npm/node_modules/@icp-sdk").glob("*/bin"))
    return os.pathsep.join([*map(str, packages), str(ROOT / ".venv/bin"), os.environ["PATH"]])


def copy_template(folder: Path) -> Path:
    """Copy the files that Copier reads to `folder` and return it. Without git, Copier is twice as fast."""
    for name in ("includes", "template"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "copier.yml", folder)
    return folder


def render(template: Path, project: Path, **answers: str | bool) -> Path:
    """Run `copier copy --defaults --data ...` and return `project`. Raises `ValueError` if an answer is refused."""
    copier.run_copy(str(template), project, answers, defaults=True, quiet=True, unsafe=False)
    return project


def share_target(project: Path) -> None:
    """Link a project's `target` to the folder that all tests and commands share, and make cargo compile its packages.

    To cargo, packages of two projects are the same if they have the same path in their workspace and the same manifest.
    Cargo compiles them again only if the sources are newer.
    """
    TARGET_DIR.mkdir(exist_ok=True)
    if not (project / "target").exists():
        (project / "target").symlink_to(TARGET_DIR)
    for source in project.rglob("*.rs"):
        if "target" not in source.relative_to(project).parts:
            source.touch()
