"""docs/reference: the pages describe each question, file, pin and limit as it is."""

import re
from pathlib import Path

import yaml

from runtime import system_api
from runtime.canister import INSTRUCTION_LIMITS
from runtime.module import MAX_HEAP_BYTES
from scripts.workspace import ROOT, render
from tests.cases import CASES
from tests.conftest import Project
from tests.support.pages import DOCS, QUESTIONS_PAGE, SECTIONS, code, fact
from tests.support.projects import ASKED, OPTIONAL, QUESTIONS, YES_NO


def generated(rendered: Project) -> set[str]:
    """Return the files of a project with every yes."""
    project = rendered(**dict.fromkeys(YES_NO, True))
    return {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}


def test_questions_page_has_each_question_in_order() -> None:
    assert list(SECTIONS) == list(QUESTIONS), (
        f"Give {QUESTIONS_PAGE} one section a question, in the order of copier.yml."
    )


def test_questions_page_says_what_each_answer_does(rendered: Project) -> None:
    recorded = yaml.safe_load((rendered() / ".copier-answers.yml").read_text())
    for name in ASKED:
        default = {True: "yes", False: "no"}.get(recorded[name], f"`{recorded[name]}`")
        assert fact(name, "Default").endswith(default), f"Write the default {default} in `{name}` of {QUESTIONS_PAGE}."
        assert fact(name, "Changes") and fact(name, "Locks you into") and fact(name, "To change it later")


def test_questions_page_gives_true_examples() -> None:
    for name in {*ASKED} - {*YES_NO}:
        case = CASES[name]
        allowed = code(fact(name, "Allowed").partition("such as")[2])
        wrong = {*allowed} - {*case.accepted, QUESTIONS[name]["default"], case.other}
        wrong |= {*code(fact(name, "Refused"))} - case.refused.keys()
        assert not wrong, (
            f"The section `{name}` of {QUESTIONS_PAGE} gives examples that tests/cases.py does not have: {wrong}."
        )


def test_questions_page_names_files_of_existing_projects(template: Path, tmp_path: Path) -> None:
    own = {tmp_path / "Cargo.toml", tmp_path / "icp.yaml"}
    for path in own:
        path.touch()
    added = {path for path in render(template, tmp_path, github_actions=True).rglob("*") if path.is_file()} - own
    named = {word for word in code(SECTIONS["existing"].split("\n- ")[0]) if "." in word} | {
        *OPTIONAL["github_actions"]
    }
    assert {path.relative_to(tmp_path).as_posix() for path in added} == named


def test_files_page_lists_each_generated_file_once(rendered: Project) -> None:
    listed = re.findall(r"^- `([^`]+)`", (DOCS / "reference/files.md").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed)), "docs/reference/files.md lists a file twice."
    in_sections = {file for name, text in SECTIONS.items() for file in OPTIONAL.get(name, []) if file in code(text)}
    assert in_sections | {*listed} == generated(rendered), (
        f"Name each file in docs/reference/files.md, or in the section of its question in {QUESTIONS_PAGE}."
    )


def test_pins_page_names_files_that_exist(rendered: Project) -> None:
    named = {word for word in code((DOCS / "reference/pins.md").read_text()) if re.fullmatch(r"[\w./]+\.\w+", word)}
    gone = {file for file in named - generated(rendered) if not (ROOT / file).is_file()}
    assert len(named) > 5 and not gone, f"docs/reference/pins.md names files that do not exist: {sorted(gone)}."


def test_limits_page_has_the_limits_of_the_runtime() -> None:
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", (DOCS / "reference/limits.md").read_text(), re.MULTILINE))
    limits = {f"heap, wasm{bits}": f"{size >> 30} GiB" for bits, size in MAX_HEAP_BYTES.items()}
    limits |= {"stable memory": f"{system_api.MAX_STABLE_PAGES * system_api.PAGE >> 30} GiB"}
    limits |= {"reply of an update call": f"{system_api.MAX_UPDATE_REPLY >> 20} MiB"}
    limits |= {"reply of a query": f"{system_api.MAX_QUERY_REPLY >> 20} MiB"}
    for kind, words in {"update": "an update call, a timer or a callback", "query": "a query"}.items():
        limits[f"instructions of {words}"] = f"{INSTRUCTION_LIMITS[kind] // 10**9} billion"
    assert limits.items() <= rows.items()
