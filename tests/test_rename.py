"""The recipes of docs/how-to for another name: what they rename, and that nothing else changes."""

import json
import sys
from pathlib import Path

import pytest
from conftest import Generate
from documents import HOW_TO, commands
from projects import LIB, NEWEST, PROFILE, commit, conflicts, files, replace, run, update, write_code
from workspace import cargo


def rename(project: Path) -> None:
    """Run the recipe as it stands in the document: hello_backend becomes greeter."""
    run(commands(HOW_TO / "rename.md", "git mv"), project, CARGO_NET_OFFLINE="true")


@pytest.mark.rust
def test_a_renamed_canister_is_that_of_a_fresh_copy_with_the_name(start: Generate, fresh: Generate) -> None:
    project = start(NEWEST)
    rename(project)
    assert files(project) == files(fresh(NEWEST, canister_name="greeter"))


@pytest.mark.rust
def test_a_renamed_canister_keeps_its_owners_code_and_can_be_updated(start: Generate) -> None:
    project = start(NEWEST)
    write_code(project)
    (project / "old.wasm").write_bytes(b"\0hello_backend")
    replace(project / "README.md", "", "hello_backend-utils is another crate.\n")
    commit(project)
    before = files(project)
    rename(project)
    after = files(project)
    assert after.keys() == {name.replace("hello_backend", "greeter") for name in before}
    assert {name for name, (_, content) in after.items() if b"hello_backend" in content} == {"old.wasm", "README.md"}
    assert after["old.wasm"] == before["old.wasm"]
    assert (project / "README.md").read_text().count("hello_backend") == 1
    commit(project)
    update(project, gzip=False)
    assert not conflicts(project)
    assert PROFILE in (project / LIB.replace("hello_backend", "greeter")).read_text()
    canisters = json.loads((project / "dfx.json").read_text())["canisters"]
    assert canisters.keys() == {"greeter", "second_backend"}
    assert canisters["greeter"]["gzip"] is False
    cargo("metadata", "--locked", "--format-version=1", cwd=project)


def test_a_project_gets_another_name_by_an_update(start: Generate, fresh: Generate) -> None:
    project = start(NEWEST)
    command = commands(HOW_TO / "change-an-answer.md", "project_name=")
    copier = Path(sys.executable).with_name("copier")
    run(command.replace("copier", str(copier), 1), project)
    assert files(project) == files(fresh(NEWEST, project_name="goodbye", canister_name="hello_backend"))
