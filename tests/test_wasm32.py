"""docs/how-to/wasm32.md: the way back to wasm32, and what later updates make of it."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from canister import Canister, parse_size
from conftest import Generate, share_target
from documents import HOW_TO, blocks, script
from projects import NEWEST, NEXT, conflicts, delete_files_of, git, run, update
from workspace import nightly

RECIPE = HOW_TO / "wasm32.md"
ANSWER = '("Hello, ICP! Powered by wasm32")'
LATER = {"gzip": False}, {"shrink": False, "wasm_memory_limit": "2 GiB", "timers": False}


@pytest.fixture(scope="module")
def project(fresh: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the recipe's changes, committed; nothing is built yet."""
    project = shutil.copytree(fresh(NEWEST), tmp_path_factory.mktemp("wasm32") / "hello")
    commands = script(RECIPE, "For good").replace("icp build\n", "")
    commands = commands.replace(pocket_ic_command(), "")
    run(commands, project, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return project


def test_what_deploys_the_canister_names_wasm32_alone(project: Path) -> None:
    assert git(project, "status", "--porcelain") == ""
    for block in blocks(RECIPE, "For good"):
        if not block.is_shell:
            file = "dfx.json" if block.language == "json" else "icp.yaml"
            assert block.text in (project / file).read_text()
    assert "--target wasm32-unknown-unknown" in (project / ".github/workflows/ci.yml").read_text()
    (look,) = [block.text for block in blocks(RECIPE, "Later updates") if block.is_shell]
    assert run(f"! {look}", project) == ""


def pocket_ic_command() -> str:
    (command,) = [block.text for block in blocks(RECIPE, "For good") if "tests/pocket_ic.rs" in block.text]
    return command


@pytest.mark.rust
def test_the_test_on_pocketic_is_for_wasm32_as_well(generate: Generate) -> None:
    project = generate(pocket_ic=True)
    run(pocket_ic_command(), project)
    test = project / "src/hello_backend/tests/pocket_ic.rs"
    assert "wasm64" not in test.read_text()
    run(f"rustup run {nightly()} rustfmt --edition=2024 --check {test}", project)


def test_the_memory_limit_is_one_that_wasm32_can_reach(project: Path) -> None:
    (canister,) = yaml.safe_load((project / "icp.yaml").read_text())["canisters"]
    assert parse_size(canister["settings"]["wasm_memory_limit"]) <= 4 << 30


@pytest.mark.parametrize("answers", LATER, ids=str)
def test_another_answer_merges_but_for_the_line_beside_the_path(
    project: Path, tmp_path: Path, answers: dict[str, str | bool]
) -> None:
    copy = shutil.copytree(project, tmp_path / "hello")
    delete_files_of(copy, answers)
    update(copy, **answers)
    assert conflicts(copy) == ({"dfx.json"} if "gzip" in answers else set())
    assert "wasm32-unknown-unknown/release/hello_backend.wasm" in (copy / "dfx.json").read_text()


def test_a_newer_template_leaves_wasm32(project: Path, versions: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(project, tmp_path / "hello")
    update(copy, NEXT)
    assert conflicts(copy) <= {"dfx.json"}  # Where the template's news stands beside an own line.
    assert '"${2:-wasm32-unknown-unknown}"' in (copy / "build.sh").read_text()


@pytest.mark.rust
def test_what_icp_builds_is_wasm32(project: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(project, tmp_path / "hello")
    share_target(copy)
    run("icp build", copy)
    canister = Canister.install(copy / ".icp/cache/artifacts/hello_backend", wasm_memory_limit="3 GiB")
    assert (canister.word_bits, canister.call("greet", '("ICP")')) == (32, ANSWER)
