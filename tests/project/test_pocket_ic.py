"""The integration test that the answer `pocket_ic` adds. One test runs it if POCKET_IC_BIN names a PocketIC server."""

import os
import re
import subprocess

import pytest

from scripts.workspace import cargo, nightly
from tests.conftest import Project
from tests.support import builds
from tests.support.projects import LIB, replace, run


@pytest.mark.xdist_group("build too")
@pytest.mark.parametrize("timers", [True, False], ids=["timers", "no timers"])
def test_the_pocket_ic_test_compiles_without_a_warning(project: Project, build, timers: bool) -> None:
    """Other tests build at the same time, so the canister has its own name.

    The C library of aws-lc-sys takes half a minute to compile. A linter does not need it.
    """
    folder = project(pocket_ic=True, timers=timers, canister_name="on_pocket_ic")
    (folder / ".cargo").mkdir()
    for version in re.findall(r'name = "aws-lc-sys"\nversion = "(.+)"', (folder / "Cargo.lock").read_text()):
        table = f"target.x86_64-unknown-linux-gnu.aws_lc_{version.replace('.', '_')}"
        (folder / ".cargo/config.toml").write_text(f"[{table}]\nrustc-cfg = ['universal']\ninclude = ''\n")
    builds.share_target(folder)
    cargo("clippy", "--quiet", "--locked", "--test=pocket_ic", "--", "--deny=warnings", cwd=folder)


if os.environ.get("POCKET_IC_BIN"):

    def test_the_pocket_ic_test_runs_the_source_as_it_is(project: Project, build) -> None:
        folder = project(pocket_ic=True)
        builds.share_target(folder)
        command = ["rustup", "run", nightly(), "cargo", "test", "--locked", "--test=pocket_ic"]
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
        assert "test result: ok. 3 passed" in done.stdout, done.stdout + done.stderr
        replace(folder / LIB, '"Hello, {name}!', '"Good day, {name}!')
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
        assert "test result: FAILED. 2 passed; 1 failed" in done.stdout, done.stderr
        assert 'left: "Good day, ICP! Powered by wasm64"' in done.stdout
        assert run("bash build.sh hello_backend", folder) in done.stdout  # The same module, by its hash.
