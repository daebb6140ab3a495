"""docs/how-to/add-a-canister.md: what it adds is built, answers, and stays through an update."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from canister import Canister
from conftest import Generate, share_target
from documents import HOW_TO, blocks, edit, script
from projects import NEWEST, NEXT, conflicts, delete_files_of, files, git, replace, run, update

RECIPE = HOW_TO / "add-a-canister.md"
HELLO, COUNTER = "hello_backend", "counter_backend"


@pytest.fixture(scope="module")
def edited(fresh: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the recipe's files and lines; cargo has not seen them yet."""
    project = shutil.copytree(fresh(NEWEST), tmp_path_factory.mktemp("two") / "hello")
    (entry,) = [block.text for block in blocks(RECIPE, "dfx.json")]
    replace(project / "dfx.json", "\n    }\n  }\n", f"\n    }},\n{entry}  }}\n")
    for block in blocks(RECIPE):
        assert block.is_shell or edit(block, project) or block.text == entry, block.paragraph
    return project


def test_the_new_entries_are_those_of_the_generated_canister(edited: Path) -> None:
    dfx = json.loads((edited / "dfx.json").read_text())["canisters"]
    icp = yaml.safe_load((edited / "icp.yaml").read_text())["canisters"]
    for hello, counter in ((dfx[HELLO], dfx[COUNTER]), icp):
        assert counter == json.loads(json.dumps(hello).replace(HELLO, COUNTER))


def test_an_update_merges_beside_the_new_canister(edited: Path, tmp_path: Path) -> None:
    project = shutil.copytree(edited, tmp_path / "hello")
    delete_files_of(project, {"timers": False})
    before = files(project)
    update(project, NEXT, timers=False)
    assert not conflicts(project)
    after = files(project)
    assert {name for name in before if COUNTER in name} == {name for name in after if COUNTER in name}
    for name, (_, content) in before.items():
        assert after[name][1].count(COUNTER.encode()) == content.count(COUNTER.encode()), name
    assert re.search(f'members = .*"src/{COUNTER}"', (project / "Cargo.toml").read_text())


@pytest.mark.rust
def test_the_new_canister_is_built_and_answers(edited: Path, tmp_path: Path) -> None:
    project = shutil.copytree(edited, tmp_path / "hello")
    share_target(project)
    run(script(RECIPE, "Build, test, commit"), project)
    assert git(project, "status", "--porcelain") == ""
    for module in (f"target/wasm64-unknown-unknown/release/{COUNTER}.wasm", f".icp/cache/artifacts/{COUNTER}"):
        canister = Canister.install(project / module)
        assert canister.word_bits == 64
        assert [canister.call("increment") for _ in range(2)] == ["(1 : nat64)", "(2 : nat64)"]
    run("cargo metadata --locked --format-version=1", project)
