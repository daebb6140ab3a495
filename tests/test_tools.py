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
from conftest import Generate, build_next
from projects import git

pytestmark = pytest.mark.rust

ANSWER = '("Hello, ICP! Powered by wasm64")'
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
    (tmp_path / "hidden").write_text(TIMERS_HIDDEN * timers)
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
    build_next(folder)
    run(folder, "icp", "build")
    artifact = folder / ".icp/cache/artifacts/hello_backend"
    wasm = check(folder, artifact, tmp_path, gzip_, timers)
    assert not gzip_ or artifact.read_bytes()[4:8] == bytes(4), "gzip wrote a time"
    assert bool(A_FUNCTION.search(wasm)) == (not shrink)


def commands(folder: Path) -> list[str]:
    """The commands of the recipe as icp reads it, for the only canister."""
    shown = yaml.load(run(folder, "icp", "project", "show"), IcpLoader)
    ((_folder, canister),) = shown["canisters"].values()
    return [command for step in canister["build"]["steps"] for command in step["commands"]]


class IcpLoader(yaml.SafeLoader):
    """Reads what icp prints, with its tags such as `!Fixed`."""


IcpLoader.add_multi_constructor("!", lambda loader, tag, node: loader.construct_scalar(node))
WASM = '"$ICP_WASM_OUTPUT_PATH"'
BUILD = "bash build.sh 'hello_backend'"
DID = f"ic-wasm {WASM} -o {WASM} metadata candid:service -f 'src/hello_backend/hello_backend.did' -v public --keep-name-section"
SHRINK = f"ic-wasm {WASM} -o {WASM} shrink"
COMPRESS = f"gzip -n {WASM} && mv {WASM}.gz {WASM}"


@pytest.mark.parametrize(("shrink", "gzip_"), list(product([True, False], repeat=2)))
def test_the_recipe_takes_the_steps_of_dfx_json(generate: Generate, shrink: bool, gzip_: bool) -> None:
    expected = [BUILD, DID, *([SHRINK] if shrink else []), *([COMPRESS] if gzip_ else [])]
    assert commands(generate(shrink=shrink, gzip=gzip_)) == expected


def configure(folder: Path, configuration: dict[str, object]) -> None:
    """Give the canister in icp.yaml another configuration of its recipe."""
    icp = yaml.safe_load((folder / "icp.yaml").read_text())
    icp["canisters"][0]["recipe"]["configuration"] = configuration
    (folder / "icp.yaml").write_text(yaml.safe_dump(icp))


def test_all_but_the_package_may_be_left_out(generate: Generate) -> None:
    folder = generate()
    configure(folder, {"package": "hello_backend"})
    assert commands(folder) == [BUILD]
    configure(folder, {"shrink": True})
    refused = subprocess.run(["icp", "project", "show"], cwd=folder, text=True, capture_output=True, check=False)
    assert refused.returncode != 0 and 'Some("package")' in refused.stderr


def test_metadata_of_ones_own_is_published(source: Generate) -> None:
    folder = source(True)
    build_next(folder)
    metadata = [
        {"name": "hello:licence", "value": "MIT: No Attribution # at all"},
        {"name": "hello:year", "value": "2026"},
    ]
    configure(folder, {"package": "hello_backend", "metadata": metadata})
    run(folder, "icp", "build")
    for section in metadata:
        shown = run(folder, "ic-wasm", folder / ".icp/cache/artifacts/hello_backend", "metadata", section["name"])
        assert shown.strip() == section["value"]


def test_a_recipe_that_is_gone_is_named(generate: Generate) -> None:
    folder = generate()
    (folder / "wasm64.hbs").unlink()
    refused = subprocess.run(["icp", "build"], cwd=folder, text=True, capture_output=True, check=False)
    assert refused.returncode != 0 and "recipe" in refused.stderr and "wasm64.hbs" in refused.stderr


@pytest.mark.parametrize(
    ("limit", "shown"),
    [("0", "0"), ("5 GiB", "5 GiB"), ("512 mb", "512 mb"), ("1 TiB", str(2**40)), ("7000000 B", "7000000")],
)
def test_icp_takes_any_memory_limit_that_dfx_takes(generate: Generate, limit: str, shown: str) -> None:
    folder = generate(wasm_memory_limit=limit)
    assert f"      wasm_memory_limit: {shown}\n" in run(folder, "icp", "project", "show")
    (folder / "icp.yaml").write_text((folder / "icp.yaml").read_text().replace(f": {shown} }}", ": 1 TiB }"))
    assert subprocess.run(["icp", "project", "show"], cwd=folder, capture_output=True, check=False).returncode != 0


def test_without_shrink_the_functions_keep_their_names(module: Generate, project: Generate, tmp_path: Path) -> None:
    made = as_dfx_would(project(shrink=False, gzip=False), module(), tmp_path / "hello_backend.wasm")
    assert A_FUNCTION.search(made.read_bytes())


def test_check_endpoints_notices_a_did_out_of_step(module: Generate, project: Generate, tmp_path: Path) -> None:
    did, hidden = tmp_path / "other.did", tmp_path / "hidden"
    did.write_text("service : { greet : (text) -> (text) query; farewell : () -> () }")
    hidden.write_text(TIMERS_HIDDEN)
    command = ["ic-wasm", str(module()), "check-endpoints", "--candid", str(did), "--hidden", str(hidden)]
    result = subprocess.run(command, env=os.environ, text=True, capture_output=True, check=False)
    assert result.returncode != 0
    assert "farewell" in result.stderr + result.stdout
