"""Run `copier update`, and list the files and conflicts of a project."""

import os
import re
from pathlib import Path

import copier
from copier import VcsRef

from tests.support.git import git
from tests.support.projects import DID, check_answers

BY_PROGRAMS = {"Cargo.lock", DID}
"""The files that cargo and a project's test write. An update does not change them."""
NEWEST, NEXT = "v9999.0.0", "v9999.1.0"
"""Versions in the fixture `repository`: the work tree's template, and a later one with a change in each file."""
MARKER = re.compile(rb"^(<<<<<<< before|>>>>>>> after) updating$", re.MULTILINE)


def update(project: Path, version: str | VcsRef = VcsRef.CURRENT, /, **answers: str | bool) -> None:
    """Run `copier update --defaults --vcs-ref VERSION --data ...`. Raises `ValueError` if an answer is refused."""
    check_answers(answers)
    copier.run_update(project, data=answers, vcs_ref=version, defaults=True, overwrite=True, quiet=True, unsafe=False)


def files(project: Path) -> dict[str, tuple[bool, bytes]]:
    """Return each file that git does not ignore, by name: whether it is executable, and its bytes."""
    names = git(project, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    paths = {name: project / name for name in names if (project / name).is_file()}
    return {name: (os.access(path, os.X_OK), path.read_bytes()) for name, path in paths.items()}


def by_programs(project: Path) -> dict[str, tuple[bool, bytes]]:
    """Return the entries of `files` that cargo and a project's test write."""
    return {name: file for name, file in files(project).items() if name in BY_PROGRAMS}


def conflicts(project: Path) -> set[str]:
    """Return the files with conflict markers, and check that git lists the same files as unmerged."""
    marked = {name for name, (_, content) in files(project).items() if MARKER.search(content)}
    assert set(git(project, "diff", "--name-only", "--relative", "--diff-filter=U").splitlines()) == marked
    return marked
