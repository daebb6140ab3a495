"""`copier update` with other answers, and with a template that refuses a recorded answer or deletes a file."""

import re
import shutil
from pathlib import Path

import pytest

from scripts.workspace import ROOT
from tests.conftest import Project
from tests.support.git import commit, git
from tests.support.projects import LIB, OPTIONAL, YES_NO, replace, run
from tests.support.updates import NEWEST, by_programs, conflicts, files, update
from tests.support.validators import recorded, refusal

YES, NO = dict.fromkeys(YES_NO, True), dict.fromkeys(YES_NO, False)


def test_each_answer_can_be_changed_later(project: Project, committed: Project) -> None:
    folder = project(NEWEST, **NO)
    kept = by_programs(folder)
    answers = {"project_name": "goodbye", "wasm_memory_limit": "5 GiB"} | YES
    update(folder, **answers)
    assert files(folder) == files(committed(NEWEST, **answers, canister_name="hello_backend")) | kept


def test_a_no_is_refused_until_its_files_are_deleted(template: Path, project: Project, committed: Project) -> None:
    folder = project(NEWEST, **YES)
    kept = by_programs(folder)
    (folder / OPTIONAL["icp_cli"][0]).unlink()
    commit(folder)
    with pytest.raises(ValueError, match="': Run git rm "):
        update(folder, **NO)
    assert git(folder, "status", "--porcelain") == ""
    for question, names in OPTIONAL.items():
        there = [name for name in names if (folder / name).exists()]
        said = refusal(template, folder, recorded(folder), question, False)
        assert f"deletes {' and '.join(there)}, with everything" in said
        (command,) = re.findall("^Run (.*) first: ", said)
        run(command, folder)
        assert not any((folder / name).exists() for name in there)
    update(folder, **NO)
    assert files(folder) == files(committed(NEWEST, **NO)) | kept


def test_an_owners_own_file_is_kept_beside_the_templates(project: Project) -> None:
    """The canister has the name of a crate that only the PocketIC test needs. A generated project may keep this name."""
    folder = project(NEWEST, canister_name="time", **NO)
    names = {name.replace("hello_backend", "time") for names in OPTIONAL.values() for name in names}
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("# mine\n")
    commit(folder)
    update(folder, **YES)
    assert conflicts(folder) == names
    assert all("# mine\n" in (folder / name).read_text() for name in names)


def test_an_update_cannot_rename_or_adopt(project: Project) -> None:
    folder = project("v1.0.0")
    for answers, why in (
        ({"canister_name": "other"}, 'Keep "hello_backend": an'),
        ({"existing": True}, "Keep existing=no: an"),
    ):
        with pytest.raises(ValueError, match=f"': {why}"):
            update(folder, NEWEST, **answers)
    assert git(folder, "status", "--porcelain") == ""


@pytest.fixture
def later(repository: Path, tmp_path: Path) -> Path:
    """A copy of the template's repository, in which one test changes the template. See `follow`."""
    return shutil.copytree(repository, tmp_path / "template")


def follow(project: Path, template: Path) -> None:
    """Make `template` the source of a project's updates, and commit its changes as a version."""
    answers = project / ".copier-answers.yml"
    answers.write_text(re.sub("(?<=^_src_path: ).*", str(template), answers.read_text(), flags=re.MULTILINE))
    commit(project)
    commit(template, "v9999.2.0")


def test_a_recorded_answer_is_not_reset_silently(project: Project, later: Path) -> None:
    replace(later / "includes/names.jinja", '"^(aux|', '"^(hello|aux|')
    replace(later / "includes/memory.jinja", "2 ** 48", "2 ** 32")
    replace(later / "copier.yml", "  default: 6 GiB", "  default: 1 GiB")
    folder = project()
    follow(folder, later)
    with pytest.raises(ValueError, match='this project\'s "hello" is no longer allowed'):
        update(folder, "v9999.2.0")
    with pytest.raises(ValueError, match='this project\'s "6 GiB" is no longer allowed'):
        update(folder, "v9999.2.0", project_name="goodbye")
    assert git(folder, "status", "--porcelain") == ""


def test_a_file_that_the_template_retires_stays(project: Project, later: Path) -> None:
    source = later / "template/src/{{ canister_name }}/src"
    (source / "lib.rs.jinja").rename(source / "main.rs.jinja")
    (line,) = re.findall('- "{% if _copier_operation .*', (ROOT / "CONTRIBUTING.md").read_text())
    replace(later / "copier.yml", "_exclude:\n", f"_exclude:\n  {line.replace('FILE', 'src/*/src/lib.rs')}\n")
    folder = project()
    before = files(folder)
    follow(folder, later)
    update(folder, "v9999.2.0")
    assert files(folder)[LIB] == before[LIB]
    assert (folder / LIB).with_name("main.rs").is_file()
