"""docs/how-to: what the pages tell to do works, on projects that follow them."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from runtime import Canister, Trapped
from scripts.workspace import ROOT
from tests.conftest import Project
from tests.support.builds import optimize_less, share_target
from tests.support.git import commit, git
from tests.support.pages import HOW_TO, blocks, commands, edit, fenced, script
from tests.support.projects import WASM, replace, run
from tests.support.updates import NEXT, conflicts, files, update

ADD, ADOPT, LARGE, WASM32 = (HOW_TO / f"{name}.md" for name in ("add-a-canister", "adopt", "more-than-4-gib", "wasm32"))
HELLO, COUNTER = "hello_backend", "counter_backend"
ARTIFACTS = ".icp/cache/artifacts"


@pytest.fixture(scope="module")
def built(build, committed: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that follows two pages: it has a second canister, and code that uses more than 4 GiB."""
    project = shutil.copytree(committed(), tmp_path_factory.mktemp("built") / "hello")
    (entry,) = fenced(ADD, "json")
    replace(project / "dfx.json", "\n    }\n  }\n", f"\n    }},\n{entry}  }}\n")
    for block in [*blocks(ADD), *blocks(LARGE, "Code that does it")]:
        assert block.language in ("", "candid") or block.text == entry or edit(block, project), block.paragraph
    optimize_less(project, HELLO, COUNTER)
    share_target(project)
    run(script(ADD, "Build, test, commit"), project)
    return project


def call(canister: Canister, method: str, argument: int) -> int:
    """Call `take` with a size in MiB, which returns an address, or `read` with an address, which returns a number."""
    (digits,) = re.findall(r"^\(([\d_]+) : nat\d+\)$", str(canister.call(method, f"({argument} : nat64)")))
    return int(digits)


def fill(canister: Canister, *sizes: int) -> list[int]:
    """Take blocks of these sizes in MiB and return their addresses. Fail if one does not keep its number."""
    addresses = [call(canister, "take", size) for size in sizes]
    assert [call(canister, "read", address) for address in addresses] == [*range(len(sizes))]
    return addresses


def test_added_canister_has_entries_like_the_generated_one(built: Path) -> None:
    dfx = json.loads((built / "dfx.json").read_text())["canisters"]
    icp = yaml.safe_load((built / "icp.yaml").read_text())["canisters"]
    for hello, counter in ((dfx[HELLO], dfx[COUNTER]), icp):
        assert counter == json.loads(json.dumps(hello).replace(HELLO, COUNTER))


def test_added_canister_answers(built: Path) -> None:
    assert git(built, "status", "--porcelain") == ""
    for module in (f"target/wasm64-unknown-unknown/release/{COUNTER}.wasm", f"{ARTIFACTS}/{COUNTER}"):
        canister = Canister.install(built / module)
        assert [canister.call("increment") for _ in range(2)] == ["(1 : nat64)", "(2 : nat64)"]


def test_heap_above_4_gib_is_usable_up_to_the_limit(built: Path) -> None:
    canister = Canister.install(built / ARTIFACTS / HELLO, wasm_memory_limit="6 GiB")
    addresses = fill(canister, 1024, 1024, 1024, 1024, 1024, 1024 - 64)
    assert addresses[3] < 1 << 32 < addresses[4]
    with pytest.raises(Trapped, match="no memory left"):
        call(canister, "take", 64)
    assert (6 << 30) - (64 << 20) < canister.heap_bytes <= 6 << 30
    canister.upgrade()
    assert call(canister, "take", 1024) < 1 << 32  # An upgrade drops the heap.


def test_low_memory_hook_runs_before_the_limit(built: Path) -> None:
    settings = yaml.safe_load(fenced(LARGE, "yaml")[0])["settings"]
    assert f"--wasm-memory-threshold '{settings['wasm_memory_threshold']}'" in fenced(LARGE, "json")[0]
    canister = Canister.install(built / ARTIFACTS / HELLO, **settings)
    fill(canister, 1024, 1024, 1024, 1024, 1024)
    with pytest.raises(Trapped, match="memory is low: no more blocks"):
        call(canister, "take", 1)


def test_wasm32_page_leads_back_and_updates_keep_it(built: Path, rendered: Project, tmp_path: Path) -> None:
    project = shutil.copytree(built, tmp_path / "hello", symlinks=True)
    (test_on_pocket_ic,) = [block.text for block in blocks(WASM32, "For good") if "pocket_ic.rs" in block.text]
    share_target(project)
    run(script(WASM32, "For good").replace(test_on_pocket_ic, "").replace("icp build", f"icp build {HELLO}"), project)
    (look,) = [block.text for block in blocks(WASM32, "Later updates") if block.is_shell]
    assert git(project, "status", "--porcelain") == "" == run(f"! {look}", project)
    for file, line in {"icp.yaml": "3 GiB", "dfx.json": fenced(WASM32, "json")[0]}.items():
        assert line in (project / file).read_text()
    canister = Canister.install(project / ARTIFACTS / HELLO, wasm_memory_limit="6 GiB")
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm32")'
    fill(canister, 1024, 1024, 1024)
    with pytest.raises(Trapped, match="no memory left"):
        call(canister, "take", 1024)
    update(project, NEXT, gzip=False)
    assert conflicts(project) == {"dfx.json"}
    assert '"${2:-wasm32-unknown-unknown}"' in (project / "build.sh").read_text()
    test = shutil.copytree(rendered(pocket_ic=True), tmp_path / "with_test") / "src/hello_backend/tests/pocket_ic.rs"
    run(test_on_pocket_ic, tmp_path / "with_test")
    assert "wasm64" not in test.read_text()


def test_runtime_page_prints_what_it_shows(module: Path) -> None:
    page = HOW_TO / "without-a-replica.md"
    command = commands(page, "call greet").replace(f"build/hello/{WASM}", str(module)).replace(".venv/bin/", "")
    assert run(command, ROOT) == fenced(page, "candid")[0]


@pytest.mark.rust
def test_renamed_project_is_a_fresh_copy_with_its_names(project: Project, committed: Project) -> None:
    folder = project()
    own = {"old.wasm": b"\0hello_backend", "src/hello_backend/src/own.rs": b"// hello_backend, hello_backend-utils\n"}
    for name, content in own.items():
        (folder / name).write_bytes(content)
    commit(folder)
    run(commands(HOW_TO / "rename.md", "git mv"), folder)
    renamed = files(folder)
    assert renamed.pop("old.wasm")[1] == own["old.wasm"]
    assert renamed.pop("src/greeter/src/own.rs")[1] == b"// greeter, hello_backend-utils\n"
    assert renamed == files(committed(canister_name="greeter"))
    commit(folder)
    run(commands(HOW_TO / "change-an-answer.md", "project_name="), folder)
    fresh = files(committed(project_name="goodbye", canister_name="greeter"))
    assert {name: files(folder)[name] for name in fresh} == fresh


def test_adopt_page_shows_the_edits_that_copier_prints(template: Path, tmp_path: Path) -> None:
    ((name, dfx),) = json.loads(f"{{{fenced(ADOPT, 'json')[0]}}}").items()
    (icp,) = yaml.safe_load(fenced(ADOPT, "yaml")[0])
    before = {"name": name, "recipe": icp["recipe"] | {"type": "@dfinity/rust@v3.3.0"}}
    (tmp_path / "icp.yaml").write_text(yaml.safe_dump({"canisters": [before]}))
    own = {"candid": dfx.pop("candid"), "type": "rust"}
    (tmp_path / "dfx.json").write_text(json.dumps({"canisters": {name: own}}))
    (tmp_path / "Cargo.toml").touch()
    message = run(f"copier copy --defaults '{template}' . 2>&1", tmp_path)
    (keys,) = re.findall(r'^(    "type".*\n(?:    .*\n)*)', message, re.MULTILINE)
    assert json.loads(f"{{{keys}}}") == dfx
    (settings,) = re.findall(r"^(    settings:.*\n(?:    .*\n)*)", message, re.MULTILINE)
    run(commands(ADOPT, "sed "), tmp_path)
    after = yaml.safe_load((tmp_path / "icp.yaml").read_text())["canisters"]
    assert [after[0] | yaml.safe_load(settings)] == [icp] and not (tmp_path / "icp.yaml.bak").exists()
