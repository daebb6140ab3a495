"""icp and ic-wasm, the real programs: the module that they make of a canister, and the steps of the recipe wasm64.hbs."""

import gzip
import re
from pathlib import Path

import pytest
import yaml

from runtime import Canister, Trapped
from tests.conftest import Project
from tests.support.projects import DID, run

pytestmark = pytest.mark.rust

TIMERS_HIDDEN = """\
canister_init
canister_post_upgrade
canister_global_timer
canister_update:<ic-cdk internal> timer_executor
"""
"""The exports of the module that are not methods of its interface, for `ic-wasm check-endpoints`."""
A_FUNCTION = re.compile(rb"_R\w+13hello_backend")
"""The name of a function of the canister, which only the name section of a module has."""


@pytest.mark.parametrize(("name", "is_small"), [("hello_backend", True), ("plain", False)])
def test_the_module_that_icp_builds_is_as_answered(
    icp_project: Path, artifacts: Path, tmp_path: Path, name: str, is_small: bool
) -> None:
    built = (artifacts / name).read_bytes()
    assert built.startswith(b"\x1f\x8b") == is_small
    assert not is_small or built[4:8] == bytes(4), "gzip wrote a time"
    bare = gzip.decompress(built) if is_small else built
    assert bool(A_FUNCTION.search(bare)) == (not is_small)
    (tmp_path / "bare.wasm").write_bytes(bare)
    (tmp_path / "hidden").write_text(TIMERS_HIDDEN)
    assert (icp_project / DID).read_text().strip() in run("ic-wasm bare.wasm metadata candid:service", tmp_path)
    run("ic-wasm bare.wasm check-endpoints --hidden hidden", tmp_path)
    canister = Canister.install(artifacts / name)
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm64")'
    with pytest.raises(Trapped, match=r"Panicked at (?s:.*)Cannot parse header(?s:.*)src/lib.rs:"):
        canister.call("greet", b"no Candid")


def test_icp_publishes_metadata_of_an_owner(artifacts: Path) -> None:
    assert run("ic-wasm plain metadata hello:licence", artifacts).strip() == "MIT: No Attribution # at all"


# The recipe


class Loader(yaml.SafeLoader):
    """Reads the YAML that icp prints, with its tags such as `!Fixed`."""


Loader.add_multi_constructor("!", lambda loader, tag, node: loader.construct_scalar(node))
WASM = '"$ICP_WASM_OUTPUT_PATH"'
PUBLISH = f"ic-wasm {WASM} -o {WASM} metadata candid:service -f %s -v public --keep-name-section"
EXTRACT = f'did="$ICP_WASM_OUTPUT_PATH.did"; ! candid-extractor {WASM} >"$did" || {PUBLISH}' % '"$did"'
SHRINK = f"ic-wasm {WASM} -o {WASM} shrink"
COMPRESS = f"gzip -n {WASM} && mv {WASM}.gz {WASM}"


def commands(folder: Path) -> list[str]:
    """Return the commands that icp would run for the only canister of a project, after the one that builds its package."""
    shown = yaml.load(run("icp project show", folder), Loader)
    ((_folder, canister),) = shown["canisters"].values()
    build, *others = [command for step in canister["build"]["steps"] for command in step["commands"]]
    assert build.startswith("package='hello_backend'; ")
    return others


@pytest.mark.parametrize(("shrink", "compress"), [(True, True), (True, False), (False, True), (False, False)])
def test_the_recipe_takes_the_steps_of_the_answers(rendered: Project, shrink: bool, compress: bool) -> None:
    steps = [PUBLISH % f"'{DID}'", *[SHRINK] * shrink, *[COMPRESS] * compress]
    assert commands(rendered(shrink=shrink, gzip=compress)) == steps


def test_the_recipe_needs_only_a_package(project: Project) -> None:
    folder = project()
    icp = yaml.safe_load((folder / "icp.yaml").read_text())
    icp["canisters"][0]["recipe"]["configuration"] = {"package": "hello_backend"}
    (folder / "icp.yaml").write_text(yaml.safe_dump(icp))
    assert commands(folder) == [EXTRACT]


@pytest.mark.parametrize(("limit", "shown"), [("0", "0"), ("512 mb", "512 mb"), ("1 TiB", str(2**40))])
def test_icp_takes_each_form_of_a_memory_limit(rendered: Project, limit: str, shown: str) -> None:
    folder = rendered(wasm_memory_limit=limit)
    assert f"      wasm_memory_limit: {shown}\n" in run("icp project show", folder)
