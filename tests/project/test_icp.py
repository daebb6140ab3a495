"""The real icp and ic-wasm: the modules that they build, and the steps of the recipe wasm64.hbs."""

import gzip
import re
from pathlib import Path

import pytest

from runtime import Canister, Trapped
from tests.conftest import Project
from tests.support.projects import run

pytestmark = pytest.mark.rust

TIMERS_HIDDEN = """\
canister_init
canister_post_upgrade
canister_global_timer
canister_update:<ic-cdk internal> timer_executor
"""
"""The exports of the module that are not in its interface, for `ic-wasm check-endpoints`."""
A_FUNCTION = re.compile(rb"_R\w+9hello_icp")
"""The name of a function of the canister. Only the name section of a module has such names."""


@pytest.mark.parametrize(("name", "is_small"), [("hello_icp", True), ("plain", False)])
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
    assert (icp_project / "src/hello_icp/hello_icp.did").read_text().strip() in run(
        "ic-wasm bare.wasm metadata candid:service", tmp_path
    )
    run("ic-wasm bare.wasm check-endpoints --hidden hidden", tmp_path)
    canister = Canister.install(artifacts / name)
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm64")'
    with pytest.raises(Trapped, match=r"Panicked at (?s:.*)Cannot parse header(?s:.*)src/lib.rs:"):
        canister.call("greet", b"no Candid")


def test_icp_publishes_metadata_of_an_owner(artifacts: Path) -> None:
    assert run("ic-wasm plain metadata hello:licence", artifacts).strip() == "MIT: No Attribution # at all"


# The recipe


def steps(folder: Path) -> list[str]:
    """Return the steps after build.sh for the only canister of a project, as icp shows them."""
    shown = run("icp project show", folder).partition("networks:")[0]
    return re.findall("candid-extractor|metadata candid:service|shrink$|gzip -n", shown, re.MULTILINE)


@pytest.mark.parametrize(("shrink", "compress"), [(True, True), (True, False), (False, True), (False, False)])
def test_the_recipe_takes_the_steps_of_the_answers(rendered: Project, shrink: bool, compress: bool) -> None:
    expected = ["metadata candid:service", *["shrink"] * shrink, *["gzip -n"] * compress]
    assert steps(rendered(shrink=shrink, gzip=compress)) == expected


def test_the_recipe_needs_only_a_package(project: Project) -> None:
    folder = project()
    icp = folder / "icp.yaml"
    icp.write_text(re.sub("(?<=package: hello_backend),[^}]*", "", icp.read_text()))
    assert steps(folder) == ["candid-extractor", "metadata candid:service"]


@pytest.mark.parametrize(("limit", "shown"), [("0", "0"), ("512 mb", "512 mb"), ("1 TiB", str(2**40))])
def test_icp_takes_each_form_of_a_memory_limit(rendered: Project, limit: str, shown: str) -> None:
    folder = rendered(wasm_memory_limit=limit)
    assert f"      wasm_memory_limit: {shown}\n" in run("icp project show", folder)
