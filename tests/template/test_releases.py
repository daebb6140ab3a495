"""Projects of each release can update: the questions keep their names, types, accepted answers and defaults."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.workspace import ROOT
from tests.cases import CASES
from tests.conftest import RELEASES, Project, extract
from tests.support.projects import QUESTIONS
from tests.support.updates import NEWEST
from tests.support.validators import configuration, recorded, refusal

SIZES = [f"0 {prefix}{byte}" for prefix in ["", *"KkMmGgTtPpEeZzYy"] for byte in ("B", "iB")]
"""Memory sizes in each unit."""


@pytest.fixture(scope="session", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """The version of a release."""
    return request.param


@pytest.fixture(scope="session")
def released(release: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of a release."""
    return extract(release, tmp_path_factory.mktemp("released"))


def words(template: Path) -> set[str]:
    """Return all words in a template's validators, among them the reserved names."""
    text = "".join(path.read_text() for path in (template / "includes").iterdir())
    return set(re.findall("[a-z][a-z0-9_]*", text))


def test_a_released_question_keeps_its_name_and_type(release: str, released: Path) -> None:
    for name, question in configuration(released).items():
        if name.startswith("_"):
            continue
        assert name in QUESTIONS, f"Bring back the question {name}: an update would forget its answer."
        for key in ("type", "choices", "multiselect", "secret"):
            was = question.get(key)
            assert QUESTIONS[name].get(key) == was, f"Change `{key}` of {name} back to {was}, as in {release}."


def test_answers_of_a_release_stay_accepted(template: Path, release: str, released: Path, committed: Project) -> None:
    project = committed(f"v{release}")

    def accepts(template: Path, question: str, answer: str) -> bool:
        return not refusal(template, project, recorded(project) | {question: answer}, question, answer)

    for name, case in CASES.items():
        if name not in configuration(released) or QUESTIONS[name]["type"] != "str":
            continue
        tried = {*case.accepted, *case.refused, *SIZES, *words(template), *words(released)}
        accepted = [answer for answer in tried if accepts(released, name, answer)]
        assert len(accepted) > 9
        lost = sorted(answer for answer in accepted if not accepts(template, name, answer))
        assert not lost, f"Accept {lost[:9]} for {name} again: projects of {release} may have these answers."


def test_a_released_default_is_kept_or_in_the_changelog(release: str, committed: Project) -> None:
    before, now = recorded(committed(f"v{release}")), recorded(committed(NEWEST))
    later = (ROOT / "CHANGELOG.md").read_text().split(f"\n## {release}")[0]
    for name in before.keys() & QUESTIONS.keys():
        said = f"default of `{name}`"
        assert now[name] == before[name] or said in later, f"Say in CHANGELOG.md: The {said} …"


def test_each_release_is_in_the_changelog() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert set(RELEASES) in (set(versions), set(versions[1:]))
