"""build.sh builds each canister of a workspace, and its errors say what to do."""

import hashlib
import json
import os
import shutil
import subprocess
import tomllib
from operator import itemgetter
from pathlib import Path

import pytest

from runtime import Canister
from scripts.workspace import cargo, nightly
from tests.conftest import Project
from tests.support import builds
from tests.support.owner import manifest
from tests.support.pages import HOW_TO, blocks
from tests.support.projects import LIB, WASM, replace, run

DEPENDENCIES = ["candid.workspace = true", "ic-cdk.workspace = true", 'ic-stable-structures = "=0.7.2"']
CANISTER = """\
thread_local! {
    static MAP: ic_stable_structures::StableBTreeMap<u64, u64, DefaultMemoryImpl> =
        ic_stable_structures::StableBTreeMap::init(DefaultMemoryImpl::default());
}

#[ic_cdk::query]
fn loud() -> bool {
    MAP.with(|map| map.is_empty()) && shared::LOUD
}
"""
"""A canister that stores a map in a `DefaultMemoryImpl`, and says whether `shared` has the feature `loud`."""
ON_THE_HEAP = f"use ic_stable_structures::DefaultMemoryImpl;\n{CANISTER}"
WASM32 = "wasm32-unknown-unknown"
"""The target of the tests with an rlib. With LTO, as for wasm64, cargo would compile another standard library for an rlib."""
ON_THE_HOST = '#[cfg(target_family = "wasm")]\ncompile_error!("for the host");\nfn main() {}\n'


def add_package(folder: Path, name: str, files: dict[str, str], *dependencies: str, is_library: bool = False) -> None:
    """Add a package to the workspace, in `canisters/`."""
    replace(folder / "Cargo.toml", 'members = ["', f'members = ["canisters/{name}", "')
    for file, text in {"Cargo.toml": manifest(name, *dependencies, is_library=is_library), **files}.items():
        path = folder / "canisters" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def workspace(committed: Project, build, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A workspace with all kinds of packages, and the completed process of its `bash build.sh`."""
    folder = shutil.copytree(committed(), tmp_path_factory.mktemp("workspace") / "hello")
    (memory,) = [block.text for block in blocks(HOW_TO / "crates.md", "Stable memory") if block.language == "rust"]
    stable = f"mod stable_memory;\nuse stable_memory::DefaultMemoryImpl;\nfn main() {{}}\n{CANISTER}"
    shared, loud = 'shared = { path = "../shared" }', 'shared = { path = "../shared", features = ["loud"] }'
    add_package(folder, "bin-canister", {"src/main.rs": stable, "src/stable_memory.rs": memory}, *DEPENDENCIES, loud)
    library = {"src/lib.rs": ON_THE_HEAP, "src/bin/tool.rs": "fn main() {}\n"}
    add_package(folder, "lib-canister", library, *DEPENDENCIES, shared, is_library=True)
    add_package(folder, "shared", {"src/lib.rs": 'pub const LOUD: bool = cfg!(feature = "loud");\n'})
    features = '\n[lib]\ncrate-type = ["cdylib", "rlib"]\n\n[features]\nloud = []\n'
    replace(folder / "canisters/shared/Cargo.toml", "", features)
    add_package(folder, "tool", {"src/main.rs": ON_THE_HOST})
    builds.optimize_less(folder)
    done = build(folder, "", WASM32)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_build_sh_builds_every_canister_and_no_other_package(workspace) -> None:
    folder, done = workspace
    lines = dict(line.split(": ") for line in done.stdout.splitlines())
    assert [Path(path).name for path in lines] == ["bin-canister.wasm", "hello_backend.wasm", "lib_canister.wasm"]
    for path, said in lines.items():
        module = Path(path).read_bytes()
        assert said == f"{len(module)} bytes, sha256 {hashlib.sha256(module).hexdigest()}"
    assert f"{folder}/{WASM.replace('wasm64', 'wasm32')}" in lines


def test_building_all_keeps_each_canisters_features(workspace) -> None:
    folder, done = workspace
    for package, says in {"bin-canister": "(true)", "lib-canister": "(false)"}.items():
        (line,) = run(f"bash build.sh {package} {WASM32}", folder).splitlines()
        assert line in done.stdout.splitlines()
        assert Canister.install(Path(line.split(": ")[0])).call("loud") == says


# What fails


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Return the standard error of a failed build.sh. It must not announce a module."""
    assert done.returncode != 0
    assert "sha256" not in done.stdout
    return done.stderr


def test_stable_structures_on_the_heap_are_refused(project: Project, build) -> None:
    folder = project()
    (folder / "src/hello_backend/Cargo.toml").write_text(manifest("hello_backend", *DEPENDENCIES))
    (folder / LIB).write_text(ON_THE_HEAP.replace(" && shared::LOUD", ""))
    builds.optimize_less(folder, "hello_backend")
    advice = refusal(build(folder)).splitlines()[-1]
    assert advice.startswith("build.sh: Give ic-stable-structures a Memory that calls ic_cdk::stable: ")
    assert "hello_backend.wasm" in advice
    assert build(folder, STRUCTURES_ON_HEAP="yes").returncode == 0


def test_a_module_that_does_not_use_the_ic_is_refused(project: Project, build) -> None:
    """A canister with ic-cdk 0.17 compiles to a module that imports nothing from `ic0`."""
    folder = project(timers=False)
    (folder / LIB).write_text("pub fn greet() {}\n")
    for arguments in (["hello_backend"], []):
        advice = refusal(build(folder, *arguments)).splitlines()[-1]
        assert advice.startswith("build.sh: Use ic-cdk 0.18.3 or newer: ")
        assert "release/hello_backend.wasm imports nothing from ic0" in advice


def test_a_package_without_a_module_is_refused(project: Project, build) -> None:
    folder = project()
    builds.optimize_less(folder)
    builds.share_target(folder)
    old = folder / WASM.replace("wasm64", "wasm32")
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_bytes(b"\0asm \3ic0")  # A module of an earlier build.
    replace(folder / "src/hello_backend/Cargo.toml", '["cdylib"]', '["rlib"]')
    said = refusal(build(folder, "", WASM32)).splitlines()[-1]
    old.unlink()
    assert said.startswith('build.sh: Write crate-type = ["cdylib"] below [lib] in Cargo.toml: ')


def test_a_compile_error_is_shown_despite_an_old_module(project: Project, build) -> None:
    folder = project()
    builds.share_target(folder)
    (folder / WASM).touch()
    replace(folder / LIB, "", "fn broken() -> u64 { greeting }\n")
    said = refusal(build(folder))
    assert "cannot find value `greeting`" in said and "crate-type" not in said


def test_a_wrong_argument_is_named(project: Project, build) -> None:
    folder = project()
    assert "`goodbye_backend` did not match any packages" in refusal(build(folder, "goodbye_backend"))
    assert 'specification for target "wasm128"' in refusal(build(folder, "hello_backend", "wasm128"))


def test_a_missing_nightly_is_named(project: Project, build, tmp_path: Path) -> None:
    said = refusal(build(project(), RUSTUP_HOME=str(tmp_path / "rustup"), RUSTUP_AUTO_INSTALL="0"))
    assert f"toolchain '{nightly()}" in said and "`rustup toolchain install`" in said


# What is built


def test_only_own_crates_get_vector_instructions(project: Project, build, tmp_path: Path) -> None:
    """With `--unit-graph`, cargo only says what it would compile."""
    folder = project()
    (folder / "src/hello_backend/build.rs").write_text("fn main() {}\n")
    real = Path(run("rustup which cargo", folder).strip())
    (tmp_path / "rustc").symlink_to(real.with_name("rustc"))
    programs = {
        "rustup": f"echo '{tmp_path}/cargo'",
        "cargo": f"'{real}' \"$@\" --unit-graph -Z unstable-options >'{tmp_path}/units.json'",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    build(folder, "hello_backend", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    units = json.loads((tmp_path / "units.json").read_text())["units"]
    flagged = {unit["target"]["name"]: unit["profile"]["rustflags"] for unit in units if "rustflags" in unit["profile"]}
    assert flagged == {"hello_backend": ["-Ctarget-feature=+simd128"]}
    assert {"build-script-build", "candid", "std"} <= {unit["target"]["name"] for unit in units}


@pytest.mark.rust
@pytest.mark.parametrize("name", ["a", "zz"])
def test_cargo_lock_is_as_cargo_writes_it(rendered: Project, name: str) -> None:
    """Cargo sorts the packages by name. `make lock` writes the others."""
    folder = rendered(canister_name=name, pocket_ic=True)
    cargo("metadata", "--locked", "--format-version=1", cwd=folder)
    packages = tomllib.loads((folder / "Cargo.lock").read_text())["package"]
    assert packages == sorted(packages, key=itemgetter("name"))


@pytest.mark.rust
def test_rustfmt_leaves_generated_code_whatever_the_name(rendered: Project) -> None:
    folders = [rendered(pocket_ic=True, timers=False, wasm_memory_limit="281474976710656")]
    folders += [rendered(canister_name="h" * length, pocket_ic=True) for length in (1, 14, 20, 24, 37, 38, 51, 64)]
    sources = [str(path) for folder in folders for path in folder.rglob("*.rs")]
    assert len(sources) == 2 + 8 * 3
    run(f"rustup run {nightly()} rustfmt --edition=2024 --check {' '.join(sources)}", folders[0])
