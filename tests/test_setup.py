"""The setup: where something is missing, one sentence says what to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

NOWHERE = "http://127.0.0.1:1/"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout, as far as the setup looks at it, and `bin`, a folder for PATH with the system tools alone."""
    locked = ("tools/npm/package.json", "tools/npm/package-lock.json", "tools/go/go.mod", "tools/go/go.sum")
    for name in ("tools/setup.sh", "template/rust-toolchain.toml", "requirements.txt", *locked):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "cmp", "cp", "dirname", "git", "mkdir", "rm", "sed", "uname"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    python(tmp_path, f'exec {sys.executable} "$@"')
    executable(tmp_path / "bin/cc", "exit 0")
    return tmp_path


def python(checkout: Path, script: str) -> None:
    """Make `python3` this shell script."""
    executable(checkout / "bin/python3", script)


def executable(path: Path, script: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)


def failed_setup(checkout: Path, part: str) -> str:
    """The one sentence on standard error with which the setup ends."""
    offline = {"PIP_INDEX_URL": NOWHERE, "PIP_RETRIES": "0", "PIP_FIND_LINKS": "", "RUSTUP_DIST_SERVER": NOWHERE}
    offline |= {"npm_config_registry": NOWHERE, "npm_config_fetch_retries": "0"}
    offline |= {"GOPROXY": NOWHERE, "GOMODCACHE": str(checkout / "modules"), "GOCACHE": str(checkout / "cache")}
    home = {"HOME": str(checkout), "RUSTUP_HOME": str(checkout / "rustup"), "PYTHON": "python3"}
    command = ["bash", "tools/setup.sh", part]
    environment = os.environ | offline | home | {"PATH": str(checkout / "bin")}
    result = subprocess.run(command, cwd=checkout, env=environment, text=True, capture_output=True, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_python_is_missing(checkout: Path) -> None:
    (checkout / "bin/python3").unlink()
    assert failed_setup(checkout, "python").startswith("Python is missing: install Python 3.11 or newer")


def test_python_is_too_old(checkout: Path) -> None:
    python(checkout, '[ "$1" = --version ] && echo Python 3.9.2; [ "$1" = --version ]')
    assert failed_setup(checkout, "python").startswith("Python 3.9.2 is too old: install Python 3.11 or newer")


def test_git_is_missing(checkout: Path) -> None:
    (checkout / "bin/git").unlink()
    assert failed_setup(checkout, "python") == "git is missing: install git.\n"


def test_venv_is_missing(checkout: Path) -> None:
    python(checkout, f'case "$2" in *ensurepip*) exit 1 ;; esac; exec {sys.executable} "$@"')
    assert "venv module is missing: install it" in failed_setup(checkout, "python")


def test_the_network_is_missing_for_python(checkout: Path) -> None:
    assert failed_setup(checkout, "python").startswith("The Python packages could not be installed: check your network")
    assert NOWHERE in (checkout / "build/setup-pip.log").read_text()


def test_rustup_is_missing(checkout: Path) -> None:
    assert failed_setup(checkout, "rust").startswith("rustup is missing: install it from https://rustup.rs")


def test_a_linker_is_missing(checkout: Path) -> None:
    executable(checkout / "bin/rustup", "exit 1")
    (checkout / "bin/cc").unlink()
    assert failed_setup(checkout, "rust").startswith("A C linker is missing: install one")


@pytest.mark.rust
def test_the_network_is_missing_for_rust(checkout: Path) -> None:
    (checkout / "bin/rustup").symlink_to(shutil.which("rustup"))
    assert "could not be installed: check your network" in failed_setup(checkout, "rust")


def test_npm_is_missing(checkout: Path) -> None:
    assert failed_setup(checkout, "npm").startswith("npm is missing: install Node.js")


def test_the_network_is_missing_for_npm(checkout: Path) -> None:
    for tool in ("npm", "node"):
        (checkout / "bin" / tool).symlink_to(shutil.which(tool))
    assert failed_setup(checkout, "npm").startswith("ic-wasm and icp could not be installed: check your network")


def test_npm_has_nothing_for_this_system(checkout: Path) -> None:
    (checkout / "bin/uname").unlink()
    executable(checkout / "bin/uname", "echo Darwin arm64")
    advice = "ic-wasm or icp is missing: npm install -g @icp-sdk/ic-wasm @icp-sdk/icp-cli\n"
    assert failed_setup(checkout, "npm") == advice


def test_go_is_missing(checkout: Path) -> None:
    assert failed_setup(checkout, "go") == "Go is missing: install it from https://go.dev/dl.\n"


def test_the_network_is_missing_for_go(checkout: Path) -> None:
    (checkout / "bin/go").symlink_to(shutil.which("go"))
    assert failed_setup(checkout, "go").startswith("actionlint could not be built: check that your Go is 1.25")
    assert NOWHERE in (checkout / "build/setup-go.log").read_text()
