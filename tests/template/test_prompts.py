"""The questions at a terminal with 80 columns."""

import re
from pathlib import Path

import pexpect

from tests.cases import CASES
from tests.conftest import Project
from tests.support.projects import OPTIONAL, QUESTIONS, YES_NO
from tests.support.updates import NEWEST
from tests.support.terminal import copier, enter, redraw, see


def start(question: str) -> str:
    """Return how the help of a question begins."""
    return QUESTIONS[question]["help"].split("?")[0]


def test_a_wrong_answer_at_the_prompt_can_be_corrected(template: Path, rendered: Project, tmp_path: Path) -> None:
    terminal = copier(tmp_path, "copy", str(template), "hello")
    for question in QUESTIONS:
        see(terminal, start(question))
        if question not in CASES:  # Another test asks for it.
            terminal.send("\r")
            continue
        case = CASES[question]
        if question in YES_NO:
            terminal.send("y" if case.other else "n")
            continue
        for wrong in filter(re.compile("[^ -z]").search, case.refused):  # Jinja, newlines, and letters beyond ASCII.
            enter(terminal, wrong)
            redraw(terminal)
            terminal.expect(f"'{question}': (Use|Write) a")
        enter(terminal, str(case.other))
    terminal.expect(pexpect.EOF)
    fresh = rendered(**{question: case.other for question, case in CASES.items()})
    for path in [path for path in fresh.rglob("*") if path.is_file() and path.name != ".copier-answers.yml"]:
        assert (tmp_path / "hello" / path.relative_to(fresh)).read_bytes() == path.read_bytes()


def test_an_update_asks_only_what_it_can_change(project: Project) -> None:
    """Names cannot change, and to say no would delete a file."""
    folder = project(NEWEST, **dict.fromkeys(YES_NO, True))
    asked = [name for name in QUESTIONS if name not in OPTIONAL and "Can be changed" in QUESTIONS[name]["help"]]
    terminal = copier(folder, "update", f"--vcs-ref={NEWEST}")
    seen = ""
    for question in asked:
        see(terminal, start(question))
        seen += str(terminal.before)
        terminal.send("n" if question in YES_NO else "\r")
    terminal.expect(pexpect.EOF)
    seen += str(terminal.before)
    assert not [question for question in QUESTIONS.keys() - asked if start(question) in seen]
    assert '"shrink": false' in (folder / "dfx.json").read_text()
