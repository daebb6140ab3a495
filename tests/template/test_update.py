"""`copier update` to a later version of the template loses no line of the owner's."""

import re
import subprocess
from itertools import chain
from pathlib import Path

import copier
import pytest
import yaml

from tests.conftest import RELEASES, Project
from tests.support.git import commit
from tests.support.owner import ADDITIONS, make
from tests.support.projects import LIB, OPTIONAL, YES_NO, replace
from tests.support.updates import BY_PROGRAMS, NEWEST, NEXT, conflicts, files, update


def merge(project: Path, old: Path, new: Path) -> dict[str, bytes | None]:
    """Return git's own merge of each file that all three folders have, by name, or None for a conflict."""

    def merged(name: str) -> bytes | None:
        command = ["git", "merge-file", "-p", project / name, old / name, new / name]
        done = subprocess.run(command, capture_output=True, check=False)
        return None if done.returncode else done.stdout

    names = files(project).keys() & files(old).keys() & files(new).keys() - {".copier-answers.yml", *BY_PROGRAMS}
    return {name: merged(name) for name in names}


@pytest.mark.parametrize("release", RELEASES)
def test_an_untouched_project_becomes_a_fresh_copy(project: Project, committed: Project, release: str) -> None:
    folder = project(f"v{release}", wasm_memory_limit="5 GiB")
    before = files(folder)
    update(folder, NEWEST)
    after = files(folder)
    fresh = files(committed(wasm_memory_limit="5 GiB"))
    gone = before.keys() - after.keys()
    assert not gone, f"An update deletes {gone}: add it to _exclude in copier.yml as CONTRIBUTING.md says."
    assert {name: after[name] for name in fresh} == fresh | {name: before[name] for name in BY_PROGRAMS}
    assert after.keys() == fresh.keys() | before.keys()


@pytest.mark.parametrize("release", RELEASES)
def test_an_owners_additions_are_kept_and_merged_as_git_does(project: Project, committed: Project, release: str) -> None:
    folder = project(f"v{release}")
    make(folder, ADDITIONS)
    commit(folder)
    merged = merge(folder, committed(f"v{release}"), committed())
    update(folder, NEWEST)
    for name, old, new in ADDITIONS:
        text = (folder / name).read_text()
        assert all(line in text for line in new.splitlines() if line not in old.splitlines()), name
    assert conflicts(folder) == {name for name, content in merged.items() if content is None}
    for name, content in merged.items():
        assert content in (None, files(folder)[name][1]), name


def test_an_owners_rewrite_is_kept_and_deletions_stay(project: Project, committed: Project) -> None:
    folder = project()
    lib = folder / LIB
    (endpoint,) = re.findall(r"#\[ic_cdk::query\]\nfn greet.*?\n}\n\n", lib.read_text(), re.DOTALL)
    lib.with_name("greeting.rs").write_text(f"// My greeting.\n{endpoint}")
    replace(lib, endpoint, "mod greeting;\nuse greeting::greet;\n\n")
    (folder / "README.md").write_text("# My canister\n\nEvery word of it is mine.\n")
    (folder / "build.sh").chmod(0o644)
    (folder / "Cargo.toml").chmod(0o755)
    deleted = {".gitignore", *chain.from_iterable(OPTIONAL.values())} & files(folder).keys()
    for name in deleted:
        (folder / name).unlink()
    commit(folder)
    merged = merge(folder, committed(), committed(NEXT, timers=False))
    update(folder, NEXT, timers=False)
    after = files(folder)
    assert not deleted & after.keys()
    assert (after["build.sh"][0], after["Cargo.toml"][0]) == (False, True)
    assert after["src/hello_backend/src/greeting.rs"][1].decode() == f"// My greeting.\n{endpoint}"
    assert after[LIB][1] == merged[LIB] and b"mod greeting;\n" in after[LIB][1]
    assert conflicts(folder) == {"README.md"}
    _, mine, theirs, rest = re.split("<<<<<<<|=======|>>>>>>>", (folder / "README.md").read_text())
    assert "# My canister\n" in mine and "# hello\n" in theirs and "Every word of it is mine.\n" in rest


def test_each_file_takes_the_owners_line_and_the_templates(project: Project, committed: Project) -> None:
    folder = project(NEWEST, **dict.fromkeys(YES_NO, True))
    before, fresh = files(folder), files(committed(NEXT, **dict.fromkeys(YES_NO, True)))
    names = before.keys() - {".copier-answers.yml"}
    for name in names:
        replace(folder / name, "", "mine\n")
    commit(folder)
    update(folder, NEXT)
    for name in names:
        assert fresh[name] != before[name], name
        executable, content = (before if name in BY_PROGRAMS else fresh)[name]
        assert files(folder)[name] == (executable, content + b"mine\n"), name


def test_a_relative_source_is_recorded_as_a_full_path(repository: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(repository)
    copier.run_copy(".", tmp_path / "hello", vcs_ref=NEWEST, defaults=True, quiet=True, unsafe=False)
    answers = yaml.safe_load((tmp_path / "hello/.copier-answers.yml").read_text())
    assert answers["_src_path"] == str(repository)
