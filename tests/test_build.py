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
from conftest import ROOT, Generate, build, copy, share_target


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
    assert len(sources) == 16
    rustfmt = ["rustup", "run", workspace.nightly(), "rustfmt", "--edition=2024", "--check"]
    result = run([*rustfmt, *map(str, sources)], tmp_path)
    assert result.returncode == 0, result.stdout


@pytest.mark.rust
@pytest.mark.parametrize("target", ["wasm64-unknown-unknown", "wasm32-unknown-unknown"])
def test_build_sh_ends_with_path_size_and_hash(project: Generate, target: str) -> None:
    folder = project()
    result = build(folder, "hello_backend", target)
    assert result.returncode == 0, result.stderr
    path, size, sha256 = re.fullmatch(
        r"(.*): (\d+) bytes, sha256 ([0-9a-f]{64})", result.stdout.splitlines()[-1]
    ).groups()
    assert path == f"{folder}/target/{target}/release/hello_backend.wasm"
    module = Path(path).read_bytes()
    assert (int(size), sha256) == (len(module), hashlib.sha256(module).hexdigest())


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A folder for PATH with the system tools that build.sh uses, and no Rust."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("bash", "cut", "dirname", "grep", "sed", "tr", "wc"):
        (folder / tool).symlink_to(shutil.which(tool))
    return folder


def failure(result: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """What went wrong and what to do about it: the last two lines of a failed build.sh."""
    assert result.returncode != 0
    cause, advice = result.stderr.splitlines()[-2:]
    assert cause.startswith("build.sh: ")
    return cause.removeprefix("build.sh: "), advice.strip()


@pytest.mark.parametrize("arguments", [[], [""], ["hello_backend", "wasm64-unknown-unknown", "other_backend"]])
def test_build_sh_wants_one_canister(generate: Generate, arguments: list[str]) -> None:
    cause, advice = failure(build(generate(), *arguments))
    assert cause == "Not one canister named."
    assert "bash build.sh CANISTER" in advice


def test_build_sh_wants_a_pinned_toolchain(generate: Generate) -> None:
    project = generate()
    (project / "rust-toolchain.toml").unlink()
    cause, advice = failure(build(project, "hello_backend"))
    assert cause == "rust-toolchain.toml pins no toolchain."
    assert "channel = " in advice


def test_build_sh_knows_its_targets(generate: Generate) -> None:
    cause, advice = failure(build(generate(), "hello_backend", "wasm128"))
    assert "wasm128" in cause
    assert advice == "Use wasm64-unknown-unknown or wasm32-unknown-unknown."


def test_build_sh_wants_rustup(generate: Generate, bare_path: Path) -> None:
    cause, advice = failure(build(generate(), "hello_backend", PATH=str(bare_path)))
    assert cause.startswith("rustup not found")
    assert "https://rustup.rs" in advice


@pytest.mark.rust
def test_build_sh_wants_the_pinned_nightly(generate: Generate, tmp_path: Path) -> None:
    cause, advice = failure(
        build(generate(), "hello_backend", RUSTUP_HOME=str(tmp_path / "rustup"), RUSTUP_AUTO_INSTALL="1")
    )
    assert cause == f"Rust {workspace.nightly()} is not installed."
    assert advice.startswith(f"rustup toolchain install {workspace.nightly()}")


@pytest.mark.rust
def test_build_sh_wants_the_source_of_std(generate: Generate, tmp_path: Path) -> None:
    rustc = Path(run(["rustup", "which", "--toolchain", workspace.nightly(), "rustc"], ROOT).stdout.strip())
    toolchain = tmp_path / "rustup/toolchains" / rustc.parent.parent.name
    toolchain.mkdir(parents=True)
    (toolchain / "bin").symlink_to(rustc.parent)
    cause, advice = failure(
        build(generate(), "hello_backend", RUSTUP_HOME=str(tmp_path / "rustup"), RUSTUP_AUTO_INSTALL="1")
    )
    assert cause.startswith("The source of the standard library is not installed")
    assert advice == f"rustup component add rust-src --toolchain {workspace.nightly()}"


@pytest.mark.rust
def test_build_sh_names_the_packages_that_there_are(generate: Generate) -> None:
    cause, advice = failure(build(generate(), "goodbye_backend"))
    assert cause == "This workspace has no package goodbye_backend."
    assert advice == "It has: hello_backend"


@pytest.mark.rust
def test_build_sh_points_to_a_workspace_that_cannot_be_read(generate: Generate) -> None:
    project = generate()
    (project / "Cargo.toml").write_text("[workspace")
    cause, _ = failure(build(project, "hello_backend"))
    assert cause == "cargo cannot read this workspace."


@pytest.mark.rust
def test_build_sh_wants_a_package_that_makes_a_module(generate: Generate) -> None:
    project = generate(canister_name="no_module")
    share_target(project)
    manifest = project / "src/no_module/Cargo.toml"
    manifest.write_text(manifest.read_text().replace('["cdylib"]', '["rlib"]'))
    cause, advice = failure(build(project, "no_module"))
    assert cause == "no_module is not a canister: it made no module."
    assert "cdylib" in advice


@pytest.mark.rust
def test_build_sh_points_to_the_compilers_error(generate: Generate) -> None:
    project = generate()
    share_target(project)
    with (project / "src/hello_backend/src/lib.rs").open("a") as lib:
        lib.write("fn broken() -> u64 { greeting }\n")
    result = build(project, "hello_backend")
    cause, advice = failure(result)
    assert cause == "hello_backend did not compile."
    assert advice == "Mend the first error above."
    assert "cannot find value `greeting`" in result.stderr


@pytest.mark.rust
def test_only_own_crates_get_vector_instructions(generate: Generate, tmp_path: Path) -> None:
    """By what cargo would do, asked with `--unit-graph`: building all of it takes a minute."""
    project = generate()
    (project / "src/hello_backend/build.rs").write_text("fn main() {}\n")
    rustup, shown = shutil.which("rustup"), tmp_path / "bin/rustup"
    shown.parent.mkdir()
    ask = f'case "$*" in *" cargo build "*) set -- "$@" --unit-graph -Z unstable-options ;; esac\nexec "{rustup}" "$@"'
    shown.write_text(f"#!/bin/sh\n{ask}\n")
    shown.chmod(0o755)
    result = build(project, "hello_backend", PATH=f"{shown.parent}{os.pathsep}{os.environ['PATH']}")
    units = json.loads(result.stdout.splitlines()[0])["units"]
    flagged = {unit["target"]["name"]: unit["profile"]["rustflags"] for unit in units if "rustflags" in unit["profile"]}
    assert flagged == {"hello_backend": ["-Ctarget-feature=+simd128"]}
    assert {"build-script-build", "candid", "std"} <= {unit["target"]["name"] for unit in units}
