"""Builds of projects, which share a target folder, so that cargo compiles each crate once."""

import os
import subprocess
from pathlib import Path

from scripts.workspace import share_target

FAST = ["opt-level = 0", "lto = false", "codegen-units = 16"]
"""A release profile that compiles fast. All tests that build for wasm32 use it, so that they share one standard library."""


def optimize_less(project: Path, *packages: str) -> None:
    """Write cargo settings that skip optimizing these packages, to link faster, or `FAST` without packages."""
    tables = [f"[profile.release.package.{package}]\nopt-level = 0\n" for package in packages]
    (project / ".cargo").mkdir(exist_ok=True)
    (project / ".cargo/config.toml").write_text("\n".join(tables or ["[profile.release]", *FAST, ""]))


def build(project: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `bash build.sh ARGS` of a project, from another folder, and return the completed process."""
    share_target(project)
    command = ["bash", str(project / "build.sh"), *args]
    return subprocess.run(command, cwd="/", env=os.environ | environment, text=True, capture_output=True, check=False)
