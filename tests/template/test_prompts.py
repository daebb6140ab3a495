"""The questions in a terminal with 80 columns."""

import os
import re
import sys
from pathlib import Path

import pexpect
import pytest

from tests.cases import CASES
from tests.conftest import Project
from tests.support.projects import OPTIONAL, QUESTIONS, YES_NO
from tests.support.updates import NEWEST


def copier(folder: Path, *args: str) -> pexpect.spawn:
    """Start Copier's command line in a terminal with 80 columns."""
    environment = os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1"}  # pexpect does not tell where its cursor is.
    command = ["-m", "copier", *args]
    return pexpect.spawn(
        sys.executable, command, 30, cwd=folder, env=environment, encoding="utf-8", dimensions=(60, 80)
    )


def see(terminal: pexpect.spawn, question: str) -> None:
    """Wait until a question appears. A terminal skips blanks that it already shows."""
    terminal.expect(re.escape(start(question)).replace(r"\ ", r"(?: |\x1b\[C)"))


def start(question: str) -> str:
    """Return the first words of a question's help."""
    return QUESTIONS[question]["help"].split("?")[0]


def enter(terminal: pexpect.spawn, text: str) -> None:
    """Replace the answer at the prompt by `text`, and confirm it. No character of `text` acts as a key."""
    terminal.send("\x7f" * 20 + f"\x1b[200~{text}\x1b[201~\r")


def press(terminal: pexpect.spawn, keys: dict[str, str]) -> str:
    """Press a key at each question, and return everything that Copier printed."""
    seen = ""
    for question, key in keys.items():
        see(terminal, question)
        seen += str(terminal.before)
        terminal.send(key)
    terminal.expect(pexpect.EOF)
    return seen + str(terminal.before)


def test_a_wrong_answer_at_the_prompt_can_be_corrected(template: Path, rendered: Project, tmp_path: Path) -> None:
    terminal = copier(tmp_path, "copy", str(template), "hello")
    for question, case in CASES.items():
        see(terminal, question)
        if question in YES_NO:
            terminal.send("y" if case.other else "n")
            continue
        for wrong in filter(re.compile("[^ -z]").search, case.refused):  # Jinja, newlines, other letters.
            enter(terminal, wrong)
            terminal.send("\x0c")  # Draw the whole screen, not only its changes.
            terminal.expect(f"'{question}': (Use|Write) a")
        enter(terminal, str(case.other))
    terminal.expect(pexpect.EOF)
    fresh = rendered(**{question: case.other for question, case in CASES.items()})
    for path in [path for path in fresh.rglob("*") if path.is_file() and path.name != ".copier-answers.yml"]:
        assert (tmp_path / "hello" / path.relative_to(fresh)).read_bytes() == path.read_bytes()


def test_an_update_asks_only_what_it_can_change(project: Project) -> None:
    """It does not ask for names, which cannot change, or for a no that would delete a file."""
    folder = project(NEWEST, **dict.fromkeys(YES_NO, True))
    asked = [name for name in QUESTIONS if name not in OPTIONAL and "Can be changed" in QUESTIONS[name]["help"]]
    keys = {question: "n" if question in YES_NO else "\r" for question in asked}
    seen = press(copier(folder, "update", f"--vcs-ref={NEWEST}"), keys)
    assert not [question for question in QUESTIONS.keys() - asked if start(question) in seen]
    assert '"shrink": false' in (folder / "dfx.json").read_text()


@pytest.mark.parametrize(
    ("own", "asked"), [("LICENSE", ["icp_cli", "github_actions"]), ("ci.yml", ["icp_cli"]), ("build.sh", [])]
)
def test_an_existing_project_is_asked_two_questions(template: Path, tmp_path: Path, own: str, asked: list[str]) -> None:
    """Copier accepts any yes at a prompt, so a copy that would replace a file fails before the prompts."""
    workflows = tmp_path / ".github/workflows"
    workflows.mkdir(parents=True)
    mine = (workflows if own == "ci.yml" else tmp_path) / own
    for path in (tmp_path / "Cargo.toml", mine):
        path.write_text("# mine\n")
    seen = press(copier(tmp_path, "copy", str(template), "."), dict.fromkeys(asked, "y"))
    assert not [question for question in QUESTIONS.keys() - asked if start(question) in seen]
    assert ("Rename or delete build.sh first" in seen) == (not asked) == (not (tmp_path / "wasm64.hbs").exists())
    assert mine.read_text() == "# mine\n"
