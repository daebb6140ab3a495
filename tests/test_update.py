"""`copier update`: to a newer template and to other answers, without losing what the owner wrote."""

import shutil
from pathlib import Path

import copier
import pytest
import yaml
from conftest import check_answers, commit, copy, git
from copier import VcsRef
from workspace import nightly

LIB = "src/hello_backend/src/lib.rs"
OWNERS_ENDPOINT = """
#[ic_cdk::query]
fn whoami() -> candid::Principal {
    ic_cdk::api::msg_caller()
}
"""
OPTIONAL = {"icp_cli": "icp.yaml", "github_actions": ".github/workflows/ci.yml"}
"""The file of an answer: an update does not delete it."""
FIRST_WORD = "// The owner's first word.\n"
LAST_WORD = "\n// The owner's last word.\n"


@pytest.fixture
def versions(snapshot: Path, tmp_path: Path) -> Path:
    """A template of two versions: 1.0.0 says some things otherwise than 9999.0.0, which is the snapshot."""
    versions = tmp_path / "versions"
    shutil.copytree(snapshot, versions, ignore=shutil.ignore_patterns(".git"))
    older = {
        "build.sh": ("Builds one canister", "Compiles one canister"),
        "README.md.jinja": ("## Deploy and call", "## Deployment"),
        "src/{{ canister_name }}/src/lib.rs.jinja": ("Powered by", "Driven by"),
        "rust-toolchain.toml": (nightly(), "nightly-2026-01-01"),
    }
    for name, (new, old) in older.items():
        path = versions / "template" / name
        assert new in path.read_text()
        path.write_text(path.read_text().replace(new, old))
    commit(versions, "v1.0.0")
    shutil.copytree(snapshot, versions, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))
    commit(versions, "v9999.0.0")
    return versions


def edit_as_owners_do(project: Path) -> None:
    """Add an endpoint below the template's, and lines at the start and the end of lib.rs."""
    lib = project / LIB
    end = "\nic_cdk::export_candid!();\n"
    assert end in lib.read_text()
    text = lib.read_text().replace(end, OWNERS_ENDPOINT + end)
    lib.write_text(f"{FIRST_WORD}{text}{LAST_WORD}")
    commit(project)


def has_owners_edits(project: Path) -> bool:
    text = (project / LIB).read_text()
    return (
        text.startswith(FIRST_WORD) and OWNERS_ENDPOINT in text and text.endswith(LAST_WORD) and "<<<<<<<" not in text
    )


def files(project: Path) -> dict[str, bytes]:
    """The content of each file that git does not ignore, by name."""
    names = git(project, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return {name: (project / name).read_bytes() for name in names if (project / name).is_file()}


@pytest.fixture
def old_project(versions: Path, tmp_path: Path) -> Path:
    project = tmp_path / "hello"
    copier.run_copy(str(versions), project, vcs_ref="v1.0.0", defaults=True, quiet=True, unsafe=False)
    commit(project)
    return project


def update(project: Path, **answers: bool) -> None:
    """`copier update --defaults`, and for other answers `--vcs-ref=:current: --data ...`."""
    check_answers(answers)
    vcs_ref = VcsRef.CURRENT if answers else None
    copier.run_update(project, data=answers, vcs_ref=vcs_ref, defaults=True, overwrite=True, quiet=True, unsafe=False)


def test_an_untouched_project_becomes_what_a_fresh_copy_would_be(
    versions: Path, old_project: Path, tmp_path: Path
) -> None:
    update(old_project)
    assert files(old_project) == files_of_fresh_copy(versions, tmp_path)


def files_of_fresh_copy(versions: Path, tmp_path: Path, **answers: bool) -> dict[str, bytes]:
    fresh = copy(versions, tmp_path / "fresh" / "hello", **answers)
    commit(fresh)
    return files(fresh)


def test_an_edited_project_gets_the_new_template_and_keeps_the_edits(old_project: Path) -> None:
    edit_as_owners_do(old_project)
    update(old_project)
    assert has_owners_edits(old_project)
    assert "Powered by" in (old_project / LIB).read_text()
    assert nightly() in (old_project / "rust-toolchain.toml").read_text()
    assert "Builds one canister" in (old_project / "build.sh").read_text()
    assert yaml.safe_load((old_project / ".copier-answers.yml").read_text())["_commit"] == "v9999.0.0"


def test_where_owner_and_template_changed_the_same_line_both_are_shown(old_project: Path) -> None:
    lib = old_project / LIB
    lib.write_text(lib.read_text().replace("Driven by", "Brought to you by"))
    commit(old_project)
    update(old_project)
    text = lib.read_text()
    assert text.index("<<<<<<<") < text.index("Brought to you by") < text.index("Powered by") < text.index(">>>>>>>")


def test_an_update_with_nothing_new_changes_nothing(snapshot: Path, tmp_path: Path) -> None:
    project = copy(snapshot, tmp_path / "hello")
    edit_as_owners_do(project)
    update(project)
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.parametrize("before", [True, False])
def test_other_answers_keep_the_owners_edits(snapshot: Path, tmp_path: Path, before: bool) -> None:
    questions = ("timers", "shrink", "gzip")
    project = copy(snapshot, tmp_path / "hello", **dict.fromkeys(questions, before))
    edit_as_owners_do(project)
    for question in questions:
        update(project, **{question: not before})
        answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
        assert answers[question] is not before
        assert has_owners_edits(project)
        assert ("ticks" in (project / LIB).read_text()) == answers["timers"]
        commit(project)


@pytest.mark.parametrize("question", ["timers", "shrink", "gzip", "icp_cli", "github_actions"])
@pytest.mark.parametrize("before", [True, False])
def test_an_untouched_project_with_another_answer_is_a_fresh_copy_with_it(
    snapshot: Path, tmp_path: Path, question: str, before: bool
) -> None:
    project = copy(snapshot, tmp_path / "hello", **{question: before})
    if before and question in OPTIONAL:
        (project / OPTIONAL[question]).unlink()
    commit(project)
    update(project, **{question: not before})
    assert files(project) == files_of_fresh_copy(snapshot, tmp_path, **{question: not before})
