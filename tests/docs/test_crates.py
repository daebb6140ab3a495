"""docs/how-to/crates.md: its samples work on wasm64, and `bash build.sh --check` lists the lines to change."""

import re
import shutil
from pathlib import Path

import pytest

from runtime import Canister, Trapped
from runtime.system_api import Call
from scripts.workspace import render
from tests.conftest import Project
from tests.support.owner import manifest
from tests.support.pages import HOW_TO, blocks, edit

CRATES = ['candid = "=0.10.39"', 'ic-cdk = "=0.20.3"', 'ic-stable-structures = "=0.7.2"', 'getrandom = "=0.4.3"']
CODE = """
mod randomness;
mod stable_memory;
use {ic_stable_structures::StableCell, stable_memory::DefaultMemoryImpl as Memory};
thread_local!(static KEPT: std::cell::RefCell<StableCell<u64, Memory>> = StableCell::init(Memory::default(), 0).into());
#[ic_cdk::update] fn keep(number: u64) -> u64 { KEPT.with_borrow_mut(|kept| kept.set(number)) }
#[ic_cdk::update] async fn seed() { randomness::seed().await }
#[ic_cdk::update] fn random() -> (u64, u64, u64) {
    let mut bytes = [0; 8];
    getrandom_02::getrandom(&mut bytes).unwrap();
    (u64::from_le_bytes(bytes), getrandom_03::u64().unwrap(), getrandom::u64().unwrap())
}
#[ic_cdk::update] fn heap_bytes() -> u64 { wasm::memory_size::<0>() as u64 * 65_536 }
#[ic_cdk::query] fn four() -> f32 { wasm::f32x4_extract_lane::<3>(wasm::f32x4_add(wasm::f32x4_splat(3.), wasm::f32x4_splat(1.))) }
#[ic_cdk::query] fn now() { std::time::SystemTime::now(); }
"""
WASM32, FAMILY = 'cfg(target_arch = "wasm32")', 'cfg(target_family = "wasm")'
OLD = {
    "Cargo.toml": 'workspace.members = ["one", "two", "tool"]\nworkspace.resolver = "2"\n[workspace.dependencies]\n'
    'ic-cdk = { features = [], version = "=0.17.2" } # -> ic-cdk = "0.18.3"\ncandid = "0.10"\n',
    "one/Cargo.toml": manifest("one", 'candid = "=0.10.20" # -> candid = "0.10.22"', "ic-cdk.workspace = true")
    + 'ic-ledger-types = "=0.13.0" # + ic-ledger-types = "=0.15.0"\ngetrandom = { version = "=0.2.17", features = ["custom"] }\n'
    'ic-stable-structures = "=0.7.2"\n[dependencies.ic-cdk-macros]\nversion="0.17" # -> version = "0.18.3"\n'
    f"[target.'{WASM32}'.dependencies] # -> [target.'{FAMILY}'.dependencies]\n",
    "one/src/lib.rs": f"// #[{WASM32}] + getrandom::register_custom_getrandom!(one);\n"
    "use ic_stable_structures::{\n    DefaultMemoryImpl, // -> StableCell, // For stable_memory.rs\n};\n"
    f"use core::arch::wasm32 as arch; // -> use core::arch::wasm64 as arch;\n#[{WASM32}] // -> #[{FAMILY}]\n",
    "two/Cargo.toml": manifest("two", 'cdk = { package = "ic-cdk", version = "0.17" } # -> ic-cdk = "0.18.3"')
    + 'ic-cdk-timers="=0.11.1" # -> ic-cdk-timers = "0.12.1"\nic-stable-structures.version = "0.7"\ngetrandom = "=0.3.4"\n'
    'candid.workspace = true\n[dev-dependencies]\nrand = "=0.7.3"\n',
    "two/src/lib.rs": '#![cfg_attr(target_arch = "wasm64", feature(simd_wasm64))]\n'
    "use ic_stable_structures::Memory;\ntype Cell = ic_stable_structures::StableCell<u64, DefaultMemoryImpl>;\n"
    'use stable_memory::DefaultMemoryImpl;\n#[cfg(any(\n    target_arch = "wasm64",\n    target_arch = "wasm32",\n))]\n'
    '#[cfg(any(\n    target_arch = "wasm32",\n    target_arch = "wasm64",\n))]\nfn two() {}\n\n'
    '#[cfg(target_arch = "wasm32")]\nuse core::arch::wasm32 as wasm;\n#[cfg(target_arch = "wasm64")]\nuse core::arch::wasm64 as wasm;\n',
    "tool/Cargo.toml": manifest("tool", 'getrandom = "=0.4.3"', is_library=False),
    ".cargo/config.toml": f"[target.wasm32-unknown-unknown] # -> [target.'{FAMILY}']\n"
    'rustflags = ["--cfg", \'getrandom_backend="custom"\']\n# + [target.wasm32-unknown-unknown]\n',
    "tool/src/main.rs": "",
    **dict.fromkeys(["target/a.rs", "node_modules/a.rs", "web/.next/a.rs"], f"#[{WASM32}]\n"),
}
"""A project for wasm32. `->` comes before what a listed line becomes, `+` before what replaces a line that is not listed."""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture(scope="module")
def module(build, rendered: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with the page's samples."""
    folder = shutil.copytree(rendered(pocket_ic=True), tmp_path_factory.mktemp("samples") / "hello")
    profile = (folder / "Cargo.toml").read_text().partition("[profile.release]")
    write(folder, {"Cargo.toml": manifest("samples", *CRATES), ".cargo/config.toml": ""})
    sample, top = [block.text for block in blocks(HOW_TO / "crates.md") if block.language and not edit(block, folder)]
    crates = (folder / "Cargo.toml").read_text().replace('"0.3"', '"=0.3.4"') + "".join(profile[1:])
    # For getrandom alone, so that the standard library is not compiled again.
    flags = (
        (folder / ".cargo/config.toml").read_text().replace(f"target.'{FAMILY}'", "profile.release.package.getrandom")
    )
    write(folder, {"src/lib.rs": top + sample + CODE, "Cargo.toml": crates, ".cargo/config.toml": flags})
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder / "target/wasm64-unknown-unknown/release/samples.wasm"


class Seeded(Canister):
    """A canister to which the management canister answers."""

    def _deliver(self, call: Call) -> None:
        if call.method != "raw_rand":
            return super()._deliver(call)
        self._answer(call, b"DIDL\1\x6d\x7b\1\0\x20" + bytes(range(32)))


def test_getrandom_gives_bytes_once_it_has_a_seed(module: Path) -> None:
    canister = Seeded.install(module)
    assert "\\00\\01\\02" in str(canister.call("random_bytes"))
    for _ in range(2):
        with pytest.raises(Trapped, match="await randomness::seed"):
            canister.call("random")
        canister.call("seed")
        assert len(set(re.findall(r"[\d_]{9,}", f"{canister.call('random')} {canister.call('random')}"))) == 6
        canister.upgrade()


def test_samples_for_memory_vectors_and_time_work(module: Path) -> None:
    canister = Canister.install(module)
    assert [canister.call("keep", f"({number} : nat64)") for number in (5, 6)] == ["(0 : nat64)", "(5 : nat64)"]
    canister.upgrade()
    assert canister.call("keep", "(7 : nat64)") == "(6 : nat64)"
    answers = canister.call("heap_bytes"), canister.call("four")
    assert answers == (f"({canister.heap_bytes:_} : nat64)", "(4.0 : float32)")
    with pytest.raises(Trapped, match="time not implemented on this platform"):
        canister.call("now")


def test_check_lists_each_line_to_change(build, template: Path, rendered: Project, tmp_path: Path) -> None:
    write(tmp_path, OLD)
    shutil.copy(rendered(pocket_ic=True) / "Cargo.lock", render(template, tmp_path))
    done = build(tmp_path, "--check")
    told = dict(re.findall(r"^(\S+:\d+): (.+?\.)(?: See.*)?$", done.stdout, re.MULTILINE))
    assert done.returncode == 1 and len(told) == len(done.stdout.splitlines()), done.stdout + done.stderr
    lock = ["", *(tmp_path / "Cargo.lock").read_text().splitlines()]
    in_lock = [(lock[int(place[11:]) - 1], *told.pop(place).split()[:3]) for place in [*told] if "lock:" in place]
    backends = [('name = "getrandom"', "Give", "getrandom", version) for version in ("0.2.17", "0.3.4")]
    assert in_lock == [*backends, ('name = "ic-cdk"', "Move", "the", "crate")]
    lines = {f"{name}:{number}": line for name in OLD for number, line in enumerate(OLD[name].splitlines(), 1)}
    assert told.keys() == {place for place, line in lines.items() if " -> " in line}
    for place, advice in told.items():
        old, new = (set(re.findall(r"\w+", part)) for part in lines[place].split(" -> "))
        assert (new - old) & set(re.findall(r"\w+", advice)), f"{place}: {advice}"
    write(tmp_path, {name: re.sub(r".* (->|\+) ", "", text) for name, text in OLD.items()})
    done = build(tmp_path, "--check")
    assert (done.returncode, done.stdout) == (0, "Nothing found.\n"), done.stderr
