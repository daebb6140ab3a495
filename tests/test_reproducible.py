"""The same source gives the same module, byte for byte, wherever and by whomever it is built."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import Generate, build, copy
from workspace import TARGET_DIR, rustup_home

pytestmark = pytest.mark.rust

WASM = "target/wasm64-unknown-unknown/release/hello_backend.wasm"
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
    "LC_ALL": "tr_TR.UTF-8",
    "TZ": "Asia/Tokyo",
}
"""What somebody else may have in their environment, each of which changes a build or a script that does not see to it."""


@pytest.fixture(scope="module")
def elsewhere(snapshot: Path) -> Path:
    """A module built by somebody else: from another folder, with a home, a Cargo home and a target folder of their own.

    They are kept between runs, so that only the first compiles the standard library for it. The Cargo home has another
    path, yet the same crates, which are not fetched twice.
    """
    folder = TARGET_DIR / "somebody else's"
    home = folder / "home"
    cargo_home = home / ".cargo"
    registry = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry"
    cargo_home.mkdir(parents=True, exist_ok=True)
    if not (cargo_home / "registry").exists():
        (cargo_home / "registry").symlink_to(registry)
    project = folder / "work/hello"
    shutil.rmtree(project / "src", ignore_errors=True)
    copy(snapshot, project, overwrite=True)
    (project / WASM).unlink(missing_ok=True)
    others = {"HOME": str(home), "CARGO_HOME": str(cargo_home), "RUSTUP_HOME": str(rustup_home())}
    umask = os.umask(0o077)
    try:
        result = build(project, "hello_backend", **CALLERS, **others)
    finally:
        os.umask(umask)
    assert result.returncode == 0, result.stderr
    assert not (project / "elsewhere").exists()
    return project / WASM


def test_two_builders_make_the_same_module(module: Generate, elsewhere: Path) -> None:
    assert elsewhere.read_bytes() == module().read_bytes()


def test_the_module_holds_no_path_of_its_builder(module: Generate, project: Generate, elsewhere: Path) -> None:
    cargo_home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    wasm = module().read_bytes() + elsewhere.read_bytes()
    for folder in (Path.home(), cargo_home, project(), elsewhere.parents[3], TARGET_DIR):
        assert f"{folder}/".encode() not in wasm
