"""The same source gives the same module, byte for byte, in each folder and for each user."""

import gzip
import os
from pathlib import Path

import pytest

from scripts.workspace import TARGET_DIR
from tests.support.pages import HOW_TO, blocks
from tests.support.projects import run

CARGO_HOME = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
SOMEBODY = TARGET_DIR.resolve() / "somebody else's"
"""The home of another builder. It stays between runs, so that the standard library is compiled once for it."""
SETTINGS = {
    "RUSTFLAGS": "--cfg anything -C opt-level=0",
    "CARGO_ENCODED_RUSTFLAGS": "-Copt-level=0",
    "CARGO_BUILD_RUSTFLAGS": "-C opt-level=0",
    "CARGO_TARGET_WASM64_UNKNOWN_UNKNOWN_RUSTFLAGS": "-C opt-level=0",
    "CARGO_TARGET_WASM64_UNKNOWN_UNKNOWN_LINKER": "no-such-linker",
    "CARGO_TARGET_DIR": "elsewhere",
    "CARGO_BUILD_TARGET": "x86_64-unknown-linux-gnu",
    "CARGO_INCREMENTAL": "1",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_UNSTABLE_BUILD_STD_FEATURES": "optimize_for_size",
    "RUSTUP_TOOLCHAIN": "stable",
    "CDPATH": "/",
    "LC_ALL": "C" if "UTF" in os.environ.get("LC_ALL", os.environ.get("LANG", "")) else "C.UTF-8",
    "TZ": "Asia/Tokyo",
}
"""Variables in the environment of another builder. Each would change a module or fail a build if build.sh ignored it."""


@pytest.fixture
def somebody() -> dict[str, str]:
    """The environment of another builder, who has another home and Cargo home, and the crates that we downloaded."""
    home = SOMEBODY / "home"
    crates, theirs = CARGO_HOME / "registry", home / ".cargo/registry"
    for folder in (crates, theirs.parent):
        folder.mkdir(parents=True, exist_ok=True)
    theirs.unlink(missing_ok=True)
    theirs.symlink_to(crates)
    wrapper = home / "wrapper"
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(0o755)
    rustup_home = run("rustup show home", Path("/")).strip()  # It has the toolchains.
    homes = {"HOME": str(home), "CARGO_HOME": str(home / ".cargo"), "RUSTUP_HOME": rustup_home}
    homes |= {name: str(home / name) for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    return SETTINGS | homes | {"RUSTC_WORKSPACE_WRAPPER": str(wrapper)}


def test_another_builder_makes_the_same_modules(
    icp_project: Path, artifacts: Path, somebody: dict[str, str], tmp_path: Path
) -> None:
    """The other builder runs the commands of docs/how-to/verify-a-module.md in a clone, with another target folder."""
    checkout = tmp_path / "a clone"
    run(f"umask 077; git clone --quiet {icp_project} '{checkout}'", icp_project)
    (SOMEBODY / "target").mkdir(exist_ok=True)
    (checkout / "target").symlink_to(SOMEBODY / "target")
    with_icp, _with_dfx = blocks(HOW_TO / "verify-a-module.md", "Build it again")
    script = with_icp.text.replace("rustup toolchain install\n", "").replace("hello_backend", "hello_icp")
    assert script.startswith("git status --short\n")
    printed = run(f"umask 077\n{script}git status --short", checkout, **somebody)
    assert printed == run("sha256sum .icp/cache/artifacts/hello_icp", icp_project)
    assert not (checkout / "elsewhere").exists()
    for name in ("hello_icp", "plain"):
        wasm = (artifacts / name).read_bytes()
        assert wasm == (checkout / ".icp/cache/artifacts" / name).read_bytes()
        wasm = gzip.decompress(wasm) if name == "hello_icp" else wasm
        for folder in (Path.home(), CARGO_HOME, somebody["RUSTUP_HOME"], icp_project, checkout, SOMEBODY, TARGET_DIR):
            assert f"{folder}/".encode() not in wasm
