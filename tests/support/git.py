"""Run git in a project."""

import subprocess
from pathlib import Path


def git(folder: Path, *args: str) -> str:
    """Run git in `folder` and return its output. Raises `subprocess.CalledProcessError` if git fails."""
    return subprocess.run(["git", *args], cwd=folder, check=True, text=True, stdout=subprocess.PIPE).stdout


def commit(folder: Path, tag: str | None = None) -> None:
    """Commit everything in `folder`, in a new repository if there is none, and tag the commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", tag or "Work")
    if tag:
        git(folder, "tag", tag)
