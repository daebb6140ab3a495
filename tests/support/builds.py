"""Builds of generated projects, all in one target folder, so that each crate is compiled once."""

import os
import subprocess
from pathlib import Path

from scripts.workspace import share_target


def optimize_less(project: Path, *packages: str) -> None:
    """Leave packages without optimization, by a setting of cargo that an owner could have. Linking takes half the time."""
    sections = [f"[profile.release.package.{package}]\nopt-level = 0\n" for package in packages]
    (project / ".cargo").mkdir(exist_ok=True)
    (project / ".cargo/config.toml").write_text("\n".join(sections))


def build(project: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `bash build.sh ARGS` for a project, from another folder."""
    share_target(project)
    command = ["bash", str(project / "build.sh"), *args]
    return subprocess.run(command, cwd="/", env=os.environ | environment, text=True, capture_output=True, check=False)
