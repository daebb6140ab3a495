"""Where things are in this repository, and how it calls cargo."""

import os
import subprocess
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template"
BUILD = ROOT / "build"
"""Generated projects."""
TARGET_DIR = ROOT / "target"
"""The one Cargo target folder that tools and tests share."""

NO_DEBUG_INFO = {"CARGO_PROFILE_DEV_DEBUG": "0"}
"""Compiles sooner what runs on this machine; and tools and tests share what both need."""


@cache
def nightly() -> str:
    """The toolchain that `template/rust-toolchain.toml` pins, such as `nightly-2026-10-15`."""
    return tomllib.loads((TEMPLATE / "rust-toolchain.toml").read_text())["toolchain"]["channel"]


def cargo(*args: str, cwd: Path = ROOT) -> str:
    """Run the pinned nightly's cargo in `cwd` and return its standard output.

    Raises `subprocess.CalledProcessError` on a non-zero exit; standard error goes to the caller's.
    """
    environment = os.environ | NO_DEBUG_INFO | {"CARGO_TARGET_DIR": str(TARGET_DIR)}
    command = ["rustup", "run", nightly(), "cargo", *args]
    return subprocess.run(command, cwd=cwd, env=environment, check=True, text=True, stdout=subprocess.PIPE).stdout


@cache
def native_tool() -> Path:
    """The compiled `tools/native`, built first where it is missing or out of date."""
    cargo("build", "--quiet", "--locked", "--manifest-path", str(ROOT / "tools/native/Cargo.toml"))
    return TARGET_DIR / "debug" / "canister-native"


def search_path() -> str:
    """A `PATH` on which the `ic-wasm` and `icp` that `setup.sh` installed come first."""
    packages = (ROOT / "tools/npm/node_modules/@icp-sdk").glob("*/bin")
    return os.pathsep.join([*map(str, sorted(packages)), os.environ["PATH"]])


def rustup_home() -> Path:
    """The folder in which rustup keeps its toolchains, such as `~/.rustup`."""
    return Path(
        subprocess.run(["rustup", "show", "home"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    )
