"""docs/how-to/more-than-4-gib.md: its lines, added to a generated project, use a heap that 32 bits cannot address."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from canister import Canister, Trapped, parse_size
from conftest import Generate, build, copy, share_target
from documents import HOW_TO, fenced

pytestmark = pytest.mark.rust

RECIPE = HOW_TO / "more-than-4-gib.md"
MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture(scope="module")
def project(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated project with the how-to's lines."""
    project = copy(snapshot, tmp_path_factory.mktemp("large") / "hello")
    share_target(project)
    source = project / "src/hello_backend"
    blocks, declaration = fenced(RECIPE, "rust")
    (source / "src/blocks.rs").write_text(blocks)
    first_line, rest = (source / "src/lib.rs").read_text().split("\n", 1)
    (source / "src/lib.rs").write_text(f"{first_line}\n\n{declaration}{rest}")
    return project


@pytest.fixture(scope="module")
def large(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Generate:
    """`large(target)` is the project's module for a target."""

    def large(target: str) -> Path:
        result = build(project, "hello_backend", target)
        assert result.returncode == 0, result.stderr
        wasm = project / f"target/{target}/release/hello_backend.wasm"
        return Path(shutil.copy(wasm, tmp_path_factory.mktemp(target)))

    return large


@pytest.fixture(scope="module")
def wasm64(large: Generate) -> Path:
    return large("wasm64-unknown-unknown")


@pytest.fixture(scope="module")
def wasm32(large: Generate) -> Path:
    return large("wasm32-unknown-unknown")


@pytest.fixture(scope="module")
def granted(project: Path) -> int:
    """The heap limit in bytes that dfx.json and icp.yaml set."""
    dfx = json.loads((project / "dfx.json").read_text())["canisters"]["hello_backend"]["post_install"]
    icp = yaml.safe_load((project / "icp.yaml").read_text())["canisters"][0]["settings"]
    assert dfx.endswith(f" --wasm-memory-limit '{icp['wasm_memory_limit']}'")
    return parse_size(icp["wasm_memory_limit"])


def take(canister: Canister, mib: int) -> int:
    """The address of one more block."""
    return value(canister.call("take", f"({mib} : nat64)"))


def read(canister: Canister, address: int) -> int:
    return value(canister.call("read", f"({address} : nat64)"))


def value(reply: str) -> int:
    return int(re.fullmatch(r"\(([\d_]+) : nat\d+\)", reply)[1].replace("_", ""))


def test_data_above_4_gib_is_written_and_read_back(wasm64: Path, granted: int) -> None:
    canister = Canister.install(wasm64, wasm_memory_limit=granted)
    addresses = [take(canister, 1024) for _ in range(5)]
    assert addresses[3] < 1 << 32 < addresses[4]
    assert [read(canister, address) for address in addresses] == [0, 1, 2, 3, 4]
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm64")'


def test_the_same_lines_end_before_4_gib_on_wasm32(wasm32: Path, granted: int) -> None:
    canister = Canister.install(wasm32, wasm_memory_limit=granted)
    addresses = [take(canister, 1024) for _ in range(3)]
    with pytest.raises(Trapped, match="no memory left"):
        take(canister, 1024)
    assert [read(canister, address) for address in addresses] == [0, 1, 2]
    with pytest.raises(Trapped, match="no such address"):
        take(canister, 4096)


def test_the_default_limit_stops_it_at_3_gib(wasm64: Path) -> None:
    canister = Canister.install(wasm64)
    addresses = [take(canister, 1024) for _ in range(2)]
    with pytest.raises(Trapped, match=f"exceeded its current Wasm memory limit of {3 * GIB} bytes") as caught:
        take(canister, 1024)
    assert caught.value.code == "IC0539"
    assert [read(canister, address) for address in addresses] == [0, 1]


def test_the_generated_limit_reaches_the_6_gib_that_are_granted_and_no_further(wasm64: Path, granted: int) -> None:
    assert granted == 6 * GIB
    canister = Canister.install(wasm64, wasm_memory_limit=granted)
    for _ in range(5):
        take(canister, 1024)
    last = take(canister, 1024 - 64)
    assert read(canister, last) == 5
    with pytest.raises(Trapped, match="no memory left"):
        take(canister, 64)
    assert 6 * GIB - 64 * MIB < canister.heap_bytes <= 6 * GIB
    assert read(canister, last) == 5


def test_a_lower_limit_of_ones_own_holds(wasm64: Path) -> None:
    canister = Canister.install(wasm64, wasm_memory_limit="5 GiB")
    for _ in range(4):
        take(canister, 1024)
    with pytest.raises(Trapped, match="IC0539"):
        take(canister, 1024)


def test_an_upgrade_drops_the_heap(wasm64: Path, granted: int) -> None:
    canister = Canister.install(wasm64, wasm_memory_limit=granted)
    before = canister.heap_bytes
    for _ in range(5):
        take(canister, 1024)
    canister.upgrade()
    assert canister.heap_bytes == before
    assert take(canister, 1024) < 1 << 32


def test_dfx_and_icp_cli_set_the_same_threshold(project: Path) -> None:
    generated = json.loads((project / "dfx.json").read_text())["canisters"]["hello_backend"]["post_install"]
    threshold = yaml.safe_load(fenced(RECIPE, "yaml")[0])["settings"]["wasm_memory_threshold"]
    assert fenced(RECIPE, "json") == [f'"post_install": "{generated} --wasm-memory-threshold \'{threshold}\'",\n']


def test_the_low_memory_hook_stops_new_blocks_before_the_limit_does(wasm64: Path, granted: int) -> None:
    threshold = yaml.safe_load(fenced(RECIPE, "yaml")[0])["settings"]["wasm_memory_threshold"]
    canister = Canister.install(wasm64, wasm_memory_limit=granted, wasm_memory_threshold=threshold)
    last = [take(canister, 1024) for _ in range(5)][-1]
    with pytest.raises(Trapped, match="memory is low: no more blocks"):
        take(canister, 1)
    assert read(canister, last) == 4
    canister.upgrade()
    assert take(canister, 1024)
