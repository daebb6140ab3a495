"""The same source gives the same module, byte for byte, wherever and by whomever it is built."""

import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import Generate, build_next, copy
from documents import HOW_TO, blocks
from projects import commit, run
from workspace import TARGET_DIR, rustup_home

pytestmark = pytest.mark.rust

WASM = "target/wasm64-unknown-unknown/release/hello_backend.wasm"
CARGO_HOME = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
SOMEBODY_ELSES = TARGET_DIR.resolve() / "somebody else's"
CALLERS = {
    "RUSTFLAGS": "--cfg anything -C opt-level=0",
    "CARGO_ENCODED_RUSTFLAGS": "-Copt-level=0",
    "CARGO_BUILD_RUSTFLAGS": "-C opt-level=0",
    "CARGO_TARGET_WASM64_UNKNOWN_UNKNOWN_RUSTFLAGS": "-C opt-level=0",
    "CARGO_TARGET_WASM64_UNKNOWN_UNKNOWN_LINKER": "no-such-linker",
    "CARGO_TARGET_DIR": "elsewhere",
    "CARGO_BUILD_TARGET": "x86_64-unknown-linux-gnu",
    "CARGO_INCREMENTAL": "1",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "true",
    "CARGO_UNSTABLE_BUILD_STD_FEATURES": "optimize_for_size",
    "RUSTUP_TOOLCHAIN": "stable",
    "CDPATH": "/",
    "LC_ALL": "C" if "UTF" in os.environ.get("LC_ALL", os.environ.get("LANG", "")) else "C.UTF-8",
    "TZ": "Asia/Tokyo",
}
"""What somebody else may have in their environment, each of which changes a build or a script that does not see to it."""


@pytest.fixture(scope="module")
def somebody() -> dict[str, str]:
    """The environment of somebody else, with a home and a Cargo home of their own.

    Their Cargo home has another path, yet the same crates, so that none is fetched twice.
    """
    home = SOMEBODY_ELSES / "home"
    crates, theirs = CARGO_HOME / "registry", home / ".cargo/registry"
    for folder in (crates, theirs.parent):
        folder.mkdir(parents=True, exist_ok=True)
    theirs.unlink(missing_ok=True)
    theirs.symlink_to(crates)
    wrapper = home / "wrapper"
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(0o755)
    homes = {name: str(home / name) for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    homes |= {"HOME": str(home), "CARGO_HOME": str(home / ".cargo"), "RUSTUP_HOME": str(rustup_home())}
    return CALLERS | homes | {"RUSTC_WORKSPACE_WRAPPER": str(wrapper)}


@pytest.fixture(scope="module")
def elsewhere(snapshot: Path, somebody: dict[str, str]) -> Path:
    """The same project, as somebody else built it in another folder.

    That and its target folder are kept between runs, so that only the first compiles the standard library for it.
    """
    project = SOMEBODY_ELSES / "work/hello"
    for name in (".git", ".icp", "src"):
        shutil.rmtree(project / name, ignore_errors=True)
    copy(snapshot, project, overwrite=True)
    commit(project)
    (project / WASM).unlink(missing_ok=True)
    run("umask 077; bash build.sh hello_backend", project, **somebody)
    assert not (project / "elsewhere").exists()
    return project


def test_two_builders_make_the_same_module(module: Generate, elsewhere: Path) -> None:
    assert (elsewhere / WASM).read_bytes() == module().read_bytes()


def test_two_builders_with_icp_see_the_same_hash(project: Generate, elsewhere: Path, somebody: dict[str, str]) -> None:
    """By the commands of docs/how-to/verify-a-module.md, the first of which prints nothing, before the build and after it."""
    with_icp, _with_dfx = blocks(HOW_TO / "verify-a-module.md", "Build it again")
    script = with_icp.text.replace("rustup toolchain install\n", "")  # What setup.sh has done.
    assert script.startswith("git status --short\n")
    script += "git status --short\n"
    build_next(project())
    ours, theirs = run(script, project()), run(f"umask 077; {script}", elsewhere, **somebody)
    assert ours == theirs
    assert re.fullmatch(r"[0-9a-f]{64}  \.icp/cache/artifacts/hello_backend\n", ours), ours


def test_the_module_holds_no_path_of_its_builder(module: Generate, project: Generate, elsewhere: Path) -> None:
    wasm = module().read_bytes() + (elsewhere / WASM).read_bytes()
    for folder in (Path.home(), CARGO_HOME, rustup_home(), project(), SOMEBODY_ELSES, elsewhere, TARGET_DIR):
        assert f"{folder}/".encode() not in wasm
