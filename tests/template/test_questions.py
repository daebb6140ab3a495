"""The questions: which answers Copier accepts, which it refuses, and what it says."""

import re
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.workspace import render
from tests.cases import CASES
from tests.support.projects import ASKED, QUESTIONS, YES_NO, copier_command
from tests.support.validators import recorded, refusal

REFUSED = [
    pytest.param(question, answer, why, id=f"{question}-{answer[:20]}")
    for question, case in CASES.items()
    for answer, why in case.refused.items()
]
ADVICE = re.compile(r"(Try|Use|Write) ")
"""The start of a refusal. A terminal with 80 columns cuts off the rest."""


def refused(template: Path, folder: Path, **answers: Any) -> str:
    """Return Copier's refusal of the answers. Check that Copier writes nothing."""
    with pytest.raises((TypeError, ValueError)) as said:
        render(template, folder / "hello", **answers)
    assert not (folder / "hello").exists()
    return str(said.value)


def test_each_question_has_a_case_to_test() -> None:
    missing = sorted({*ASKED} - CASES.keys())
    assert not missing, f"Add {missing} to CASES in tests/cases.py."


def test_each_help_says_whether_the_answer_can_change() -> None:
    for name in ASKED:
        assert QUESTIONS[name]["help"].endswith((" Asked once.", " Can be changed later.")), name


@pytest.mark.parametrize(("question", "answer", "why"), REFUSED)
def test_an_impossible_answer_is_refused_with_advice(template: Path, question: str, answer: str, why: str) -> None:
    said = refusal(template, Path("new"), {"canister_name": "hello_backend"}, question, answer)
    assert why in said and ADVICE.match(said)


def test_a_mistyped_yes_or_no_is_refused(template: Path, tmp_path: Path) -> None:
    why = 'Write yes or no. "flase" is neither.'
    for question in YES_NO:
        assert refusal(template, Path("new"), {}, question, "flase") == why
    assert why in refused(template, tmp_path, **dict.fromkeys(YES_NO, "flase"))


@pytest.mark.parametrize(
    ("words", "answer"),
    [(("no", "False", "off", "0", "n", "F"), False), (("yes", "True", "on", "1", "y", "T"), True)],
)
def test_the_usual_words_are_yes_and_no(template: Path, tmp_path: Path, words: tuple[str, ...], answer: bool) -> None:
    given = dict(zip(YES_NO, cycle(words)))
    answers = recorded(render(template, tmp_path / "hello", **given))
    assert {question: answers[question] for question in given} == dict.fromkeys(given, answer)


def test_a_name_of_a_pocket_ic_crate_is_refused_with_it(template: Path, tmp_path: Path) -> None:
    advice = 'Answer no, or start again with another canister name: "time" is a crate'
    assert advice in refused(template, tmp_path, canister_name="time", pocket_ic="yes")
    assert recorded(render(template, tmp_path / "candid", canister_name="time"))["project_name"] == "candid"


@pytest.mark.parametrize(
    ("line", "why"),
    {
        "canister_name: no": '"False" is not allowed',
        "canister_name: 2048": '"2048" is not allowed',
        "canister_name: null": 'Invalid answer "None"',
        "canister_name: [hello]": "Could not convert ['hello'] to string",
        "wasm_memory_limit: 1.0e+3": '"1000.0" is not a memory size',
        "wasm_memory_limit: -1": '"-1" is not a memory size',
    }.items(),
)
def test_another_type_in_a_data_file_is_refused(template: Path, tmp_path: Path, line: str, why: str) -> None:
    assert why in refused(template, tmp_path, **yaml.safe_load(line))


def test_a_data_file_may_give_numbers_and_words(template: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.yml").write_text("wasm_memory_limit: 6442450944\nproject_name: my-app\nshrink: no\n")
    copier_command("copy", "--defaults", "--data-file", tmp_path / "answers.yml", template, tmp_path / "hello")
    given = {"wasm_memory_limit": "6442450944", "project_name": "my-app", "shrink": False}
    assert given.items() <= recorded(tmp_path / "hello").items()


@pytest.mark.parametrize(
    ("folder", "name"),
    {"2048 My App (2)": "my-app-2", "🦀": "hello", "core": "core_app", "a" * 80: "a" * 48}.items(),
)
def test_the_folder_gives_the_default_names(template: Path, tmp_path: Path, monkeypatch, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    render(template, Path())
    answers = recorded(tmp_path / folder)
    assert (answers["project_name"], answers["canister_name"]) == (name, f"{name.replace('-', '_')}_backend")
