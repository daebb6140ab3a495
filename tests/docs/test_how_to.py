"""docs/how-to: the commands, edits and samples of the pages work on projects that follow them."""

import json
import os
import re
import shutil
import sys
from multiprocessing.connection import Listener
from pathlib import Path
from threading import Thread

import pytest
import yaml

from runtime import Canister, Rejected, Trapped
from scripts.workspace import ROOT
from tests.conftest import Project
from tests.support.builds import optimize_less, share_target
from tests.support.git import commit, git
from tests.support.pages import HOW_TO, blocks, commands, edit, fenced, script
from tests.support.projects import WASM, replace, run
from tests.support.updates import NEXT, conflicts, files, update

ADD, ADOPT, LARGE, LOAD, WASM32 = (
    HOW_TO / f"{name}.md" for name in ("add-a-canister", "adopt", "more-than-4-gib", "load-data", "wasm32")
)
HELLO, COUNTER = "hello_backend", "counter_backend"
ARTIFACTS = ".icp/cache/artifacts"
LOAD_MIB = int(os.environ.get("LOAD_MIB", "5"))
"""The size of the file that the test of load-data.md sends. 5120 takes up to 16 GB of memory and five minutes."""


@pytest.fixture(scope="module")
def built(build, committed: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that follows three pages: it has a second canister, uses more than 4 GiB, and loads a file."""
    project = shutil.copytree(committed(), tmp_path_factory.mktemp("built") / "hello")
    (entry,) = fenced(ADD, "json")
    replace(project / "dfx.json", "\n    }\n  }\n", f"\n    }},\n{entry}  }}\n")
    for block in [*blocks(ADD), *(block for block in blocks(LARGE) if block.language == "rust"), *blocks(LOAD)]:
        assert block.language in ("", "candid", "sh") or block.text == entry or edit(block, project), block.paragraph
    replace(project / "src/hello_backend/src/data.rs", "256 << 20", f"{LOAD_MIB} << 17")  # Eight parts.
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
    assert git(built, "status", "--porcelain") == "" == run("cargo fmt --check", built)
    for module in (f"target/wasm64-unknown-unknown/release/{COUNTER}.wasm", f"{ARTIFACTS}/{COUNTER}"):
        canister = Canister.install(built / module)
        assert [canister.call("increment") for _ in range(2)] == ["(1 : nat64)", "(2 : nat64)"]


def test_heap_above_4_gib_is_usable_up_to_the_limit(built: Path) -> None:
    canister = Canister.install(built / ARTIFACTS / HELLO, wasm_memory_limit="6 GiB")
    addresses = fill(canister, 1024, 1024, 1024, 1024, 1024, 1024 - 64)
    assert addresses[3] < 1 << 32 < addresses[4]
    assert canister.call("heap_bytes") == f"({canister.heap_bytes:_} : nat64)"
    with pytest.raises(Trapped, match="no memory left"):
        call(canister, "take", 64)
    assert (6 << 30) - (64 << 20) < canister.heap_bytes <= 6 << 30
    canister.upgrade()
    assert call(canister, "take", 1024) < 1 << 32  # An upgrade drops the heap.


def test_low_memory_hook_runs_before_the_limit(built: Path, rendered: Project, tmp_path: Path) -> None:
    (block,) = [block for block in blocks(LARGE) if block.language == "yaml"]
    shutil.copy(rendered() / "icp.yaml", tmp_path)
    edit(block, tmp_path)
    settings = yaml.safe_load((tmp_path / "icp.yaml").read_text())["canisters"][0]["settings"]
    assert f"--wasm-memory-threshold '{settings['wasm_memory_threshold']}'" in fenced(LARGE, "json")[0]
    canister = Canister.install(built / ARTIFACTS / HELLO, **settings)
    fill(canister, 1024, 1024, 1024, 1024, 1024)
    with pytest.raises(Trapped, match="memory is low: no more blocks"):
        call(canister, "take", 1)


def serve(canister: Canister, program: Path) -> list[list[str]]:
    """Write a program `icp` that calls a canister of this process. Return its calls. The answer to the third gets lost."""
    listener, calls = Listener(), list[list[str]]()
    client = f"from multiprocessing.connection import Client\nwith Client({listener.address!r}) as test:"
    program.write_text(f"#!{sys.executable}\nimport sys\n{client} test.send(sys.argv[1:]), print(test.recv())\n")
    program.chmod(0o755)

    def answer(method: str, argument: str, *rest: str) -> str:
        if argument != "--args-file":
            return str((canister.query if "--query" in rest else canister.update)(method, argument))
        reply = canister.update(method, Path(rest[0]).read_bytes())
        assert isinstance(reply, bytes)
        return f"({int.from_bytes(reply[-8:], 'little')} : nat64)"

    def run_calls() -> None:
        while True:
            with listener.accept() as connection:
                calls.append(connection.recv())
                told = answer(*calls[-1][3:])
                connection.send(told if len(calls) != 3 else "")

    Thread(target=run_calls, daemon=True).start()
    return calls


def test_sent_file_is_whole_and_loaded_after_each_upgrade(built: Path, tmp_path: Path) -> None:
    canister = Canister.install(built / ARTIFACTS / HELLO, wasm_memory_limit="6 GiB")
    calls, path = serve(canister, tmp_path / "icp"), f"{tmp_path}:{os.environ['PATH']}"
    shutil.copy(built / "send.py", tmp_path)
    with (tmp_path / "model.bin").open("wb") as file:
        for mib in range(LOAD_MIB):
            file.write(f"{mib:08}".encode() + os.urandom((1 << 20) - 8))
    command = fenced(LOAD, "sh")[0].replace("../", "")
    with pytest.raises(AssertionError):
        run(command, tmp_path, PATH=path)
    assert canister.call("put", '(5, blob "x")') == "(4_000_000 : nat64)" == canister.call("length")
    canister.upgrade()
    canister.advance(60)
    assert run(command, tmp_path, PATH=path).startswith(f"{min(6_000_000, LOAD_MIB << 20)} of {LOAD_MIB << 20} bytes")
    for seconds in (0, 60):
        canister.advance(seconds)
        assert canister.call("get", f"({LOAD_MIB - 1 << 20}, 8)") == f'(blob "{LOAD_MIB - 1:08}")'
        assert canister.heap_bytes > LOAD_MIB << 20
        canister.upgrade()
        with pytest.raises(Trapped):
            canister.call("get", "(0, 8)")
    with (tmp_path / "model.bin").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(AssertionError, match="Call clear and send again"):
        run(command, tmp_path, PATH=path)
    assert [canister.call("clear"), canister.call("length")] == ["()", "(0 : nat64)"]
    canister.caller = "aaaaa-aa"
    for method, arguments in {"clear": "()", "load": "()", "put": '(0, blob "")', "sha256": "(0, 0)"}.items():
        with pytest.raises(Rejected, match="only controllers may call this method"):
            canister.call(method, arguments)
    options = {word for call in calls for word in call if word.startswith("--")}
    assert options <= set(re.findall(r"--[\w-]+", run("icp canister call --help", ROOT)))


def test_wasm32_page_leads_back_and_updates_keep_it(built: Path, rendered: Project, tmp_path: Path) -> None:
    project = shutil.copytree(built, tmp_path / "hello", symlinks=True)
    (test_on_pocket_ic,) = [block.text for block in blocks(WASM32, "For good") if "pocket_ic.rs" in block.text]
    optimize_less(project)  # Compiles the standard library as the tests of existing projects do for wasm32.
    commit(project)
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


def test_upgrade_can_be_tried_without_a_replica(module: Path) -> None:
    command = re.sub(r"build/\w+\.wasm", str(module), commands(HOW_TO / "recover.md", "upgrade build/new.wasm"))
    assert run(command, ROOT).splitlines() == ['("Hello, ICP! Powered by wasm64")'] * 2


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
