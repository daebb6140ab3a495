"""What ic-wasm and icp, the real programs, make of the canister: the steps of dfx.json and icp.yaml, for each combination of answers."""

import gzip
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import yaml
from canister import Canister, Trapped
from conftest import Generate
from projects import git

pytestmark = pytest.mark.rust

ANSWER = '("Hello, ICP! Powered by wasm64")'
HIDDEN = "get_candid_pointer\n"
TIMERS_HIDDEN = """\
canister_init
canister_post_upgrade
canister_global_timer
canister_update:<ic-cdk internal> timer_executor
"""
"""What the module exports beside the methods of its interface."""
A_FUNCTION = re.compile(rb"_R\w+13hello_backend")
"""The name of a function of the canister's, which a module holds in its name section alone."""
each_combination = pytest.mark.parametrize(("shrink", "gzip_", "timers"), list(product([True, False], repeat=3)))


def run(folder: Path, *command: str | Path) -> str:
    result = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def as_dfx_would(folder: Path, built: Path, made: Path) -> Path:
    """Take the built module through what dfx.json orders, in dfx's order, and return the file that dfx would install.

    dfx calls ic-wasm as a library, always keeping the names, and compresses without a time (`wasm_post_process` in
    dfx's src/dfx/src/lib/models/canister.rs, `bytes_to_module` in lib/wasm/file.rs).
    """
    canister = json.loads((folder / "dfx.json").read_text())["canisters"]["hello_backend"]
    shutil.copy(built, made)
    if canister["shrink"]:
        run(folder, "ic-wasm", made, "-o", made, "shrink", "--keep-name-section")
    for section in canister["metadata"]:
        assert section == {"name": "candid:service"}
        add = ["metadata", section["name"], "-f", canister["candid"], "-v", "public", "--keep-name-section"]
        run(folder, "ic-wasm", made, "-o", made, *add)
    if canister["gzip"]:
        made.write_bytes(gzip.compress(made.read_bytes(), 6, mtime=0))
    return made


def check(folder: Path, made: Path, tmp_path: Path, gzipped: bool, timers: bool) -> bytes:
    """See that a file that is ready to be installed is what the answers ask for, and runs. Returns the bare module."""
    data = made.read_bytes()
    assert data.startswith(b"\x1f\x8b") == gzipped
    bare = tmp_path / "bare.wasm"
    bare.write_bytes(gzip.decompress(data) if gzipped else data)
    did = folder / "src/hello_backend/hello_backend.did"
    assert did.read_text().strip() in run(folder, "ic-wasm", bare, "metadata", "candid:service")
    (tmp_path / "hidden").write_text(HIDDEN + TIMERS_HIDDEN * timers)
    run(folder, "ic-wasm", bare, "check-endpoints", "--candid", did, "--hidden", tmp_path / "hidden")

    canister = Canister.install(made)
    assert canister.word_bits == 64
    assert canister.call("greet", '("ICP")') == ANSWER
    if timers:
        canister.advance(120)
        assert canister.call("ticks") == "(2 : nat64)"
    canister.upgrade()
    assert canister.call("greet", '("ICP")') == ANSWER
    with pytest.raises(Trapped, match=r"Panicked at (?s:.*)Cannot parse header(?s:.*)src/lib.rs:"):
        canister.call("greet", b"no Candid")
    return bare.read_bytes()


@each_combination
def test_what_dfx_json_orders_answers(
    module: Generate, project: Generate, tmp_path: Path, shrink: bool, gzip_: bool, timers: bool
) -> None:
    folder = project(shrink=shrink, gzip=gzip_, timers=timers)
    made = as_dfx_would(folder, module(timers=timers), tmp_path / "hello_backend.wasm")
    check(folder, made, tmp_path, gzip_, timers)


@pytest.fixture
def source(project: Generate) -> Iterator[Generate]:
    """`source(timers)` is a folder that cargo compiles once, whatever icp.yaml a test puts there."""
    yield lambda timers: project(timers=timers)
    for timers in (True, False):
        git(project(timers=timers), "restore", "icp.yaml")


@each_combination
def test_what_icp_builds_answers(
    project: Generate, source: Generate, tmp_path: Path, shrink: bool, gzip_: bool, timers: bool
) -> None:
    folder = source(timers)
    (folder / "icp.yaml").write_text((project(shrink=shrink, gzip=gzip_, timers=timers) / "icp.yaml").read_text())
    run(folder, "icp", "build")
    artifact = folder / ".icp/cache/artifacts/hello_backend"
    wasm = check(folder, artifact, tmp_path, gzip_, timers)
    assert not gzip_ or artifact.read_bytes()[4:8] == bytes(4), "gzip wrote a time"
    assert bool(A_FUNCTION.search(wasm)) == (not shrink)


@each_combination
def test_icp_reads_what_is_generated(generate: Generate, shrink: bool, gzip_: bool, timers: bool) -> None:
    folder = generate(shrink=shrink, gzip=gzip_, timers=timers)
    shown = run(folder, "icp", "project", "show")
    (canister,) = yaml.safe_load((folder / "icp.yaml").read_text())["canisters"]
    for command in canister["build"]["steps"][0]["commands"]:
        assert f"- {command}\n" in shown
    assert "      wasm_memory_limit: 6 GiB\n" in shown


@pytest.mark.parametrize(
    ("limit", "shown"),
    [("0", "0"), ("5 GiB", "5 GiB"), ("512 mb", "512 mb"), ("1 TiB", str(2**40)), ("7000000 B", "7000000")],
)
def test_icp_takes_any_memory_limit_that_dfx_takes(generate: Generate, limit: str, shown: str) -> None:
    folder = generate(wasm_memory_limit=limit)
    assert f"      wasm_memory_limit: {shown}\n" in run(folder, "icp", "project", "show")
    (folder / "icp.yaml").write_text((folder / "icp.yaml").read_text().replace(f": {shown}\n", ": 1 TiB\n"))
    assert subprocess.run(["icp", "project", "show"], cwd=folder, capture_output=True, check=False).returncode != 0


def test_without_shrink_the_functions_keep_their_names(module: Generate, project: Generate, tmp_path: Path) -> None:
    made = as_dfx_would(project(shrink=False, gzip=False), module(), tmp_path / "hello_backend.wasm")
    assert A_FUNCTION.search(made.read_bytes())


def test_check_endpoints_notices_a_did_out_of_step(module: Generate, project: Generate, tmp_path: Path) -> None:
    did, hidden = tmp_path / "other.did", tmp_path / "hidden"
    did.write_text("service : { greet : (text) -> (text) query; farewell : () -> () }")
    hidden.write_text(HIDDEN + TIMERS_HIDDEN)
    command = ["ic-wasm", str(module()), "check-endpoints", "--candid", str(did), "--hidden", str(hidden)]
    result = subprocess.run(command, env=os.environ, text=True, capture_output=True, check=False)
    assert result.returncode != 0
    assert "farewell" in result.stderr + result.stdout
