"""The integration test that the answer `pocket_ic` adds. One test runs it if POCKET_IC_BIN names a PocketIC server."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts.workspace import nightly
from tests.conftest import Project
from tests.support import builds
from tests.support.projects import LIB, replace, run

SERVER = os.environ.get("POCKET_IC_BIN", "")
UNREACHABLE = "http://127.0.0.1:1"


def cargo_test(folder: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `cargo test --locked ARGS` with clippy as the compiler of the project's own crates.

    The other crates, some 280, are then compiled once for tests and lints. Without `environment`, there is no server.
    """
    builds.share_target(folder)
    clippy = run(f"rustup which --toolchain {nightly()} clippy-driver", folder).strip()
    command = ["rustup", "run", nightly(), "cargo", "test", "--locked", *args]
    env = {name: value for name, value in os.environ.items() if name != "POCKET_IC_BIN"} | environment
    env |= {"RUSTC_WORKSPACE_WRAPPER": clippy}
    return subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, check=False)


@pytest.mark.parametrize("timers", [True, False], ids=["timers", "no timers"])
def test_the_pocket_ic_test_compiles_without_a_warning(project: Project, build, timers: bool) -> None:
    done = cargo_test(project(pocket_ic=True, timers=timers), "--no-run")
    assert done.returncode == 0, done.stderr
    assert "tests/pocket_ic.rs" in done.stderr
    assert "warning" not in done.stderr


def test_without_a_server_the_test_says_how_to_get_one(project: Project, build, tmp_path: Path) -> None:
    folder = project(pocket_ic=True)
    assert cargo_test(folder, "--no-run").returncode == 0  # This downloads the crates, if need be.
    offline = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), UNREACHABLE)
    offline |= {"NO_PROXY": "", "no_proxy": "", "TMPDIR": str(tmp_path), "CARGO_NET_OFFLINE": "true"}
    done = cargo_test(folder, "--test=pocket_ic", "greets", **offline)
    assert done.returncode != 0
    assert "`POCKET_IC_BIN` environment variable" in done.stdout, done.stderr
    assert re.search(r"https://github\.com/dfinity/pocketic/releases/download/16\.\S+\.gz", done.stdout)
    assert "Finished `release`" not in done.stderr  # The advice comes before a build.


if SERVER:

    def test_the_pocket_ic_test_runs_the_source_as_it_is(project: Project, build) -> None:
        folder = project(pocket_ic=True)
        done = cargo_test(folder, "--test=pocket_ic", POCKET_IC_BIN=SERVER)
        assert "test result: ok. 3 passed" in done.stdout, done.stdout + done.stderr
        replace(folder / LIB, '"Hello, {name}!', '"Good day, {name}!')
        done = cargo_test(folder, "--test=pocket_ic", POCKET_IC_BIN=SERVER)
        assert "test result: FAILED. 2 passed; 1 failed" in done.stdout, done.stderr
        assert 'left: "Good day, ICP! Powered by wasm64"' in done.stdout
        assert run("bash build.sh hello_backend", folder) in done.stdout  # The same module, by its hash.
