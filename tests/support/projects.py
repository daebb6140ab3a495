"""The questions and optional files of projects, and functions that change a file or run a command."""

import os
import subprocess
from importlib.metadata import entry_points
from pathlib import Path

import jinja2
import yaml

from scripts.workspace import ROOT

Answers = dict[str, str | bool]

QUESTIONS: dict[str, dict] = {
    name: question
    for name, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items()
    if not name.startswith("_")
}
"""The questions of copier.yml, by name, in their order."""
ASKED = [name for name, question in QUESTIONS.items() if question.get("ask") is not False]
"""The questions that Copier asks of a new project."""
YES_NO = [name for name in ASKED if QUESTIONS[name]["type"] == "bool"]
DEFAULTS: Answers = {name: QUESTIONS[name]["default"] for name in ASKED} | {
    name: True for name in YES_NO if isinstance(QUESTIONS[name]["default"], str)
}
"""The default answers. For a new project, a computed yes/no is yes."""
_includes = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT / "includes"))
OPTIONAL: dict[str, list[str]] = {
    question: [file.replace("NAME", "hello_backend") for file in files]
    for question, files in vars(_includes.get_template("files.jinja").module)["files"].items()
}
"""The files that exist only when the answer is yes, by question, from includes/files.jinja."""
LIB = "src/hello_backend/src/lib.rs"
DID = "src/hello_backend/hello_backend.did"
WASM = "target/wasm64-unknown-unknown/release/hello_backend.wasm"


def check_answers(answers: Answers) -> None:
    """Fail if an answer has no question. Copier would ignore it."""
    unknown = answers.keys() - QUESTIONS.keys()
    assert not unknown, f"no question asks for {sorted(unknown)}"


def copier_command(*args: str | Path) -> None:
    """Run Copier's command line in this process. Raises `ValueError` or `TypeError` if an answer is refused."""
    (command,) = entry_points(group="console_scripts", name="copier")
    _, status = command.load()(["copier", *map(str, args)], exit=False)
    assert status == 0


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
