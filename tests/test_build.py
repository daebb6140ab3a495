"""build.sh and cargo: what is generated builds as it is, wherever and by whomever, and a failure says what to do."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import workspace
from canister import Canister
from conftest import ROOT, Generate, build, copy, own_copy, share_target
from documents import HOW_TO, fenced
from projects import LIB, replace

WASM = "target/wasm64-unknown-unknown/release/hello_backend.wasm"


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, text=True, capture_output=True, check=False
    )


def cargo(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return run(["rustup", "run", workspace.nightly(), "cargo", *args], folder)


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = str(Path(sys.executable).with_name("shellcheck"))
    scripts = ["template/build.sh", "tools/setup.sh", ".ci/run"]
    result = run([shellcheck, *scripts], ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.rust
@pytest.mark.parametrize("timers", [True, False])
@pytest.mark.parametrize("pocket_ic", [True, False])
@pytest.mark.parametrize("canister_name", ["a", "hello_backend", "ic_cdk_z", "zzz"])
def test_the_lock_is_the_one_that_cargo_writes(
    snapshot: Path, tmp_path: Path, canister_name: str, timers: bool, pocket_ic: bool
) -> None:
    project = copy(snapshot, tmp_path / "hello", canister_name=canister_name, timers=timers, pocket_ic=pocket_ic)
    rendered = (project / "Cargo.lock").read_text()
    result = cargo(project, "metadata", "--locked", "--format-version=1")
    assert result.returncode == 0, result.stderr
    head, *packages = rendered.strip().split("\n\n")
    (project / "Cargo.lock").write_text("\n\n".join([head, *reversed(packages)]) + "\n")
    assert cargo(project, "metadata", "--format-version=1").returncode == 0
    assert (project / "Cargo.lock").read_text() == rendered


@pytest.mark.rust
def test_make_lock_changes_nothing_while_no_pin_moves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import lock

    before = lock.LOCK.read_text()
    monkeypatch.setattr(lock, "LOCK", tmp_path / "Cargo.lock.jinja")
    lock.main()
    assert lock.LOCK.read_text() == before


@pytest.mark.rust
def test_rustfmt_leaves_the_tools_as_they_are() -> None:
    rustfmt = ["rustup", "run", workspace.nightly(), "rustfmt", "--edition=2024", "--check"]
    result = run([*rustfmt, "tools/native/src/main.rs", "tools/workloads/src/lib.rs"], ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.rust
def test_rustfmt_leaves_what_is_generated_whatever_the_canisters_name(snapshot: Path, tmp_path: Path) -> None:
    sources = []
    for length in (1, 14, 20, 24, 37, 38, 51, 64):
        project = copy(snapshot, tmp_path / str(length), canister_name="h" * length, pocket_ic=True)
        sources += project.rglob("*.rs")
    assert len(sources) == 24
    rustfmt = ["rustup", "run", workspace.nightly(), "rustfmt", "--edition=2024", "--check"]
    result = run([*rustfmt, *map(str, sources)], tmp_path)
    assert result.returncode == 0, result.stdout


@pytest.mark.rust
def test_build_sh_ends_with_path_size_and_hash(project: Generate) -> None:
    folder = project()
    result = build(folder, "hello_backend")
    assert result.returncode == 0, result.stderr
    path, size, sha256 = re.fullmatch(
        r"(.*): (\d+) bytes, sha256 ([0-9a-f]{64})", result.stdout.splitlines()[-1]
    ).groups()
    assert path == f"{folder}/{WASM}"
    module = Path(path).read_bytes()
    assert (int(size), sha256) == (len(module), hashlib.sha256(module).hexdigest())


def refusal(result: subprocess.CompletedProcess[str]) -> str:
    """What a failed build.sh, or cargo or rustup below it, prints to standard error; no module is announced."""
    assert result.returncode != 0
    assert "sha256" not in result.stdout
    return result.stderr


@pytest.mark.rust
def test_without_a_name_every_canister_is_built(project: Generate, tmp_path: Path) -> None:
    """A library, a binary, hyphens, a tool for the host; and each is the module that it is by its name."""
    folder = own_copy(project(), tmp_path / "hello")
    dependencies = 'candid.workspace = true\nic-cdk.workspace = true\nshared = { path = "../shared" }\n'
    loud = dependencies.replace('shared"', 'shared", features = ["loud"]')
    add_package(folder, "bin-canister", loud, {"src/main.rs": f"fn main() {{}}\n{QUERY}"})
    add_package(folder, "lib-canister", f"{dependencies}{CDYLIB}", {"src/lib.rs": QUERY})
    add_package(folder, "shared", "[features]\nloud = []\n", {"src/lib.rs": LOUD})
    add_package(folder, "tool", "", {"src/main.rs": f"{ON_THE_HOST}fn main() {{}}\n"})
    result = build(folder)
    assert result.returncode == 0, result.stderr
    built = {Path(line.split(": ")[0]).name: line for line in result.stdout.splitlines()}
    assert sorted(built) == ["bin-canister.wasm", "hello_backend.wasm", "lib_canister.wasm"]
    for file, says in {"bin-canister.wasm": "(true)", "lib_canister.wasm": "(false)"}.items():
        assert Canister.install(Path(built[file].split(": ")[0])).call("loud") == says
        assert build(folder, file.removesuffix(".wasm").replace("_", "-")).stdout == f"{built[file]}\n"


LOUD = 'pub const LOUD: bool = cfg!(feature = "loud");\n'
ON_THE_HOST = '#[cfg(target_family = "wasm")]\ncompile_error!("for the host");\n'
QUERY = """\
#[ic_cdk::query]
fn loud() -> bool {
    shared::LOUD
}
"""
CDYLIB = '[lib]\ncrate-type = ["cdylib"]\n'


def add_package(folder: Path, name: str, dependencies: str, files: dict[str, str]) -> None:
    """Add a package to the workspace, in `canisters/`."""
    members = re.search("members = .*", (folder / "Cargo.toml").read_text())[0]
    replace(folder / "Cargo.toml", members, members.replace("]", f', "canisters/{name}"]'))
    package = f'[package]\nname = "{name}"\nedition = "2024"\n\n[dependencies]\n{dependencies}'
    for file, text in {"Cargo.toml": package, **files}.items():
        path = folder / "canisters" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.rust
def test_a_module_that_calls_nothing_of_the_ic_is_refused(project: Generate, tmp_path: Path) -> None:
    """As with ic-cdk 0.17, which compiles for wasm64 and traps at each call."""
    folder = own_copy(project(timers=False), tmp_path / "hello")
    manifest = (folder / "Cargo.toml").read_text()
    (folder / "Cargo.toml").write_text(re.sub('ic-cdk = ".*"', 'ic-cdk = "=0.17.2"', manifest))
    for arguments in (["hello_backend"], []):
        advice = refusal(build(folder, *arguments)).splitlines()[-1]
        assert advice.startswith("build.sh: Use ic-cdk 0.18.3 or newer: ")
        assert "release/hello_backend.wasm imports nothing from ic0" in advice


STABLE = """\
use ic_stable_structures::{DefaultMemoryImpl, StableBTreeMap};

thread_local! {
    static MAP: std::cell::RefCell<StableBTreeMap<u64, u64, DefaultMemoryImpl>> =
        StableBTreeMap::init(DefaultMemoryImpl::default()).into();
}

#[ic_cdk::update]
fn put(key: u64) -> Option<u64> {
    MAP.with_borrow_mut(|map| map.insert(key, key))
}
"""


@pytest.mark.rust
def test_stable_structures_on_the_heap_are_warned_of(project: Generate, tmp_path: Path) -> None:
    folder = own_copy(project(), tmp_path / "hello")
    dependencies = f'ic-stable-structures = "=0.7.2"\nic-cdk.workspace = true\ncandid.workspace = true\n{CDYLIB}'
    add_package(folder, "heap_backend", dependencies, {"src/lib.rs": STABLE})
    (memory,) = [text for text in fenced(HOW_TO / "adopt.md", "rust") if "impl ic_stable_structures::Memory" in text]
    stable = STABLE.replace("{DefaultMemoryImpl, StableBTreeMap}", "StableBTreeMap")
    stable = f"mod stable_memory;\nuse stable_memory::DefaultMemoryImpl;\n{stable}"
    add_package(folder, "stable_backend", dependencies, {"src/lib.rs": stable, "src/stable_memory.rs": memory})
    heap, stable = build(folder, "heap_backend"), build(folder, "stable_backend")
    assert (heap.returncode, stable.returncode) == (0, 0), heap.stderr + stable.stderr
    (warning,) = [line for line in heap.stderr.splitlines() if line.startswith("build.sh: ")]
    assert warning.startswith("build.sh: warning: Give ic-stable-structures a Memory that calls ic_cdk::stable: ")
    assert "heap_backend.wasm" in warning
    assert "build.sh: " not in stable.stderr


@pytest.mark.rust
def test_a_package_that_makes_no_module_is_refused(generate: Generate) -> None:
    """Also where an older module with its name lies in the target folder."""
    project = generate(canister_name="no_module")
    share_target(project)
    old = project / "target/wasm64-unknown-unknown/release/no_module.wasm"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_bytes(b"\0asm ic0")
    replace(project / "src/no_module/Cargo.toml", '["cdylib"]', '["rlib"]')
    said = refusal(build(project)).splitlines()[-1]
    assert said.startswith('build.sh: Write crate-type = ["cdylib"] below [lib] in Cargo.toml: ')
    old.unlink()


@pytest.mark.rust
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["goodbye_backend"], "package ID specification `goodbye_backend` did not match any packages"),
        (["hello_backend", "wasm128"], 'could not find specification for target "wasm128"'),
    ],
)
def test_a_wrong_argument_is_named(project: Generate, arguments: list[str], says: str) -> None:
    assert says in refusal(build(project(), *arguments))


@pytest.mark.rust
def test_the_pinned_nightly_has_to_be_there(generate: Generate, tmp_path: Path) -> None:
    said = refusal(build(generate(), RUSTUP_HOME=str(tmp_path / "rustup"), RUSTUP_AUTO_INSTALL="0"))
    assert f"toolchain '{workspace.nightly()}" in said and "`rustup toolchain install`" in said


@pytest.mark.rust
def test_what_does_not_compile_shows_the_compilers_error(project: Generate, tmp_path: Path) -> None:
    """Though the module of an earlier build is there."""
    folder = own_copy(project(), tmp_path / "hello")
    (folder / WASM).touch()
    replace(folder / LIB, "", "fn broken() -> u64 { greeting }\n")
    assert "cannot find value `greeting`" in refusal(build(folder))


@pytest.mark.rust
def test_without_rustup_the_script_stops(generate: Generate, tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    assert "rustup: command not found" in refusal(build(generate(), PATH=str(tmp_path)))


@pytest.mark.rust
def test_only_own_crates_get_vector_instructions(generate: Generate, tmp_path: Path) -> None:
    """By what cargo would do, asked with `--unit-graph`: building all of it takes a minute."""
    project = generate()
    (project / "src/hello_backend/build.rs").write_text("fn main() {}\n")
    real = Path(run(["rustup", "which", "cargo"], project).stdout.strip())
    (tmp_path / "rustc").symlink_to(real.with_name("rustc"))
    programs = {
        "rustup": f"echo '{tmp_path}/cargo'",
        "cargo": f"'{real}' \"$@\" --unit-graph -Z unstable-options >'{tmp_path}/units.json'",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    build(project, "hello_backend", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    units = json.loads((tmp_path / "units.json").read_text())["units"]
    flagged = {unit["target"]["name"]: unit["profile"]["rustflags"] for unit in units if "rustflags" in unit["profile"]}
    assert flagged == {"hello_backend": ["-Ctarget-feature=+simd128"]}
    assert {"build-script-build", "candid", "std"} <= {unit["target"]["name"] for unit in units}
