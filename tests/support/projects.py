"""What tests do with a generated project: read its questions and files, change them, run commands, update."""

import os
import re
import subprocess
from importlib.metadata import entry_points
from pathlib import Path

import copier
import jinja2
import yaml
from copier import VcsRef

from scripts.workspace import ROOT
from tests.support.git import git

Answers = dict[str, str | bool]

QUESTIONS: dict[str, dict] = {
    name: question
    for name, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items()
    if not name.startswith("_")
}
"""The questions of copier.yml, by name, in their order."""
YES_NO = [name for name, question in QUESTIONS.items() if question["type"] == "bool"]
_includes = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT / "includes"))
OPTIONAL: dict[str, list[str]] = {
    question: [file.replace("NAME", "hello_backend") for file in files]
    for question, files in vars(_includes.get_template("files.jinja").module)["files"].items()
}
"""The files that exist only with a yes to a question, by question, as includes/files.jinja lists them."""
LIB = "src/hello_backend/src/lib.rs"
DID = "src/hello_backend/hello_backend.did"
WASM = "target/wasm64-unknown-unknown/release/hello_backend.wasm"
BY_PROGRAMS = {"Cargo.lock", DID}
"""The files that cargo and a test of the project write. An update does not change them."""
NEWEST, NEXT = "v9999.0.0", "v9999.1.0"
"""The versions of the work tree's template and of one with a change in each file, in the fixture `repository`."""
MARKER = re.compile(rb"^(<<<<<<< before|>>>>>>> after) updating$", re.MULTILINE)


def check_answers(answers: Answers) -> None:
    """Fail if an answer has no question. Copier would ignore it."""
    unknown = answers.keys() - QUESTIONS.keys()
    assert not unknown, f"no question asks for {sorted(unknown)}"


def copier_command(*args: str | Path) -> None:
    """Run Copier's command line in this process. Raises `ValueError` or `TypeError` if an answer is refused."""
    (command,) = entry_points(group="console_scripts", name="copier")
    _, status = command.load()(["copier", *map(str, args)], exit=False)
    assert status == 0


def update(project: Path, version: str | VcsRef = VcsRef.CURRENT, /, **answers: str | bool) -> None:
    """Run `copier update --defaults --vcs-ref VERSION --data ...`. Raises `ValueError` if an answer is refused."""
    check_answers(answers)
    copier.run_update(project, data=answers, vcs_ref=version, defaults=True, overwrite=True, quiet=True, unsafe=False)


def files(project: Path) -> dict[str, tuple[bool, bytes]]:
    """Return each file that git does not ignore, by name: whether it is executable, and its content."""
    names = git(project, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    paths = {name: project / name for name in names if (project / name).is_file()}
    return {name: (os.access(path, os.X_OK), path.read_bytes()) for name, path in paths.items()}


def by_programs(project: Path) -> dict[str, tuple[bool, bytes]]:
    """Return those of `files` that cargo and a test of the project write."""
    return {name: file for name, file in files(project).items() if name in BY_PROGRAMS}


def conflicts(project: Path) -> set[str]:
    """Return the files with conflict markers, and check that git knows them as unmerged."""
    marked = {name for name, (_, content) in files(project).items() if MARKER.search(content)}
    assert set(git(project, "diff", "--name-only", "--diff-filter=U").splitlines()) == marked
    return marked


def replace(path: Path, old: str, new: str) -> None:
    """Replace the only occurrence of a text in a file. An empty `old` appends."""
    text = path.read_text()
    assert not old or text.count(old) == 1, f"{old!r} in {path}"
    path.write_text(text.replace(old, new) if old else text + new)


def run(script: str, folder: Path, **environment: str) -> str:
    """Run a bash script in `folder` and return its output. Fail if one of its commands fails."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout
