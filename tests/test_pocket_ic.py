"""The integration test that the answer `pocket_ic` adds: it compiles, it passes, and it fails where it should.

POCKET_IC_BIN names the PocketIC server that it runs on; without one, the stand-in in `pocket_ic_server.py` takes its place.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from conftest import Generate, build, build_next
from projects import LIB, replace
from workspace import nightly

pytestmark = pytest.mark.rust

UNREACHABLE = "http://127.0.0.1:1"
each_with_timers = pytest.mark.parametrize("timers", [True, False], ids=["timers", "no timers"])


@cache
def clippy_driver() -> str:
    command = ["rustup", "which", "--toolchain", nightly(), "clippy-driver"]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def cargo(folder: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run cargo with clippy as the compiler of the project's own crates; the others, some 280, are compiled only once."""
    build_next(folder)
    clippy = f"build.rustc-workspace-wrapper={clippy_driver()!r}"
    command = ["rustup", "run", nightly(), "cargo", "--config", clippy, *args]
    inherited = {name: value for name, value in os.environ.items() if name != "POCKET_IC_BIN"}
    env = inherited | {"CLIPPY_ARGS": "-Dwarnings__CLIPPY_HACKERY__"} | environment
    return subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, check=False)


@each_with_timers
def test_the_integration_test_compiles_with_the_lock_and_without_a_warning(project: Generate, timers: bool) -> None:
    result = cargo(project(pocket_ic=True, timers=timers), "test", "--locked", "--no-run")
    assert result.returncode == 0, result.stderr
    assert "tests/pocket_ic.rs" in result.stderr


@each_with_timers
def test_rustfmt_leaves_it_as_it_is(generate: Generate, timers: bool) -> None:
    result = cargo(generate(pocket_ic=True, wasm_memory_limit="281474976710656", timers=timers), "fmt", "--check")
    assert result.returncode == 0, result.stdout


def test_the_integration_test_passes(project: Generate, server: str) -> None:
    result = cargo(project(pocket_ic=True), "test", "--locked", "--test=pocket_ic", POCKET_IC_BIN=server)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "test result: ok. 3 passed" in result.stdout


def test_without_a_server_it_says_how_to_get_one(project: Generate, tmp_path: Path) -> None:
    folder = project(pocket_ic=True)
    assert cargo(folder, "test", "--locked", "--no-run").returncode == 0  # With its crates, which cargo may download.
    proxies = {name: UNREACHABLE for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")}
    offline = proxies | {"NO_PROXY": "", "no_proxy": "", "TMPDIR": str(tmp_path)}
    result = cargo(folder, "test", "--locked", "--test=pocket_ic", "greets", **offline)
    assert result.returncode != 0
    assert "`POCKET_IC_BIN` environment variable" in result.stdout
    assert re.search(r"https://github\.com/dfinity/pocketic/releases/download/16\.\S+\.gz", result.stdout)
    assert "Finished `release`" not in result.stderr  # It says so at once, not after a build.


@pytest.fixture
def edited(project: Generate) -> Iterator[Path]:
    """A project without timers in which greet says something else."""
    folder = project(pocket_ic=True, timers=False)
    before = (folder / LIB).read_text()
    replace(folder / LIB, '"Hello, {name}!', '"Good day, {name}!')
    yield folder
    (folder / LIB).write_text(before)


def test_it_tests_the_source_as_it_is_now_in_the_module_that_build_sh_makes(edited: Path, server: str) -> None:
    result = cargo(edited, "test", "--locked", "--test=pocket_ic", POCKET_IC_BIN=server)
    assert "test result: FAILED. 1 passed; 1 failed" in result.stdout, result.stderr
    assert 'left: "Good day, ICP! Powered by wasm64"' in result.stdout
    by_hand = build(edited, "hello_backend")
    assert "Compiling" not in by_hand.stderr, "cargo test built another module."
    assert by_hand.stdout.splitlines()[-1] in result.stdout
