"""docs/how-to/adopt.md, followed: canisters for wasm32 become wasm64 ones that keep their state and take updates."""

import re
import shutil
from pathlib import Path

from runtime import Canister
from tests.support import builds
from tests.support.git import commit, git
from tests.support.owner import manifest
from tests.support.pages import HOW_TO, fenced, script
from tests.support.projects import replace, run
from tests.support.updates import NEXT, conflicts

PAGE = HOW_TO / "adopt.md"
NAMES = ("hello_backend", "ledger_backend")
DEPENDENCIES = ['candid = "0.10"', 'ic-cdk = "0.17"', 'ic-stable-structures = "=0.7.2"']
CODE = """\
use ic_stable_structures::DefaultMemoryImpl;

thread_local! {
    static TOTAL: std::cell::RefCell<ic_stable_structures::StableCell<u64, DefaultMemoryImpl>> =
        ic_stable_structures::StableCell::init(DefaultMemoryImpl::default(), 0).into();
}

#[ic_cdk::update]
fn deposit(amount: u64) -> (candid::Principal, u64) {
    TOTAL.with_borrow_mut(|total| {
        total.set(total.get() + amount);
        (ic_cdk::caller(), *total.get())
    })
}

ic_cdk::export_candid!();
"""
"""A canister that keeps a number in stable memory."""


def write_project(project: Path) -> None:
    """Write and commit a project with two canisters, laid out as by dfx."""
    files = {
        ".gitignore": "# What cargo makes\ntarget/\n",
        "Cargo.toml": f'[workspace]\nmembers = ["src/{NAMES[0]}", "src/{NAMES[1]}"]\nresolver = "2"\n',
        "README.md": "# Mine\n",
    }
    for name in NAMES:
        files[f"src/{name}/Cargo.toml"] = manifest(name, *DEPENDENCIES)
        files[f"src/{name}/{name}.did"] = "service : { deposit : (nat64) -> (principal, nat64) }\n"
        files[f"src/{name}/src/lib.rs"] = CODE
    for file, text in files.items():
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text(text)
    commit(project)


def make_edits(project: Path) -> None:
    """Make the edits of the page to Cargo.toml, and to each canister."""
    (members,) = re.findall(r"`(members = \[.*?\])`", PAGE.read_text())
    replace(project / "Cargo.toml", f'members = ["src/{NAMES[0]}"]', members)
    dependencies, for_tests = fenced(PAGE, "toml")[0].split("\n\n")
    stable_memory, test = fenced(PAGE, "rust")
    ((module, use),) = re.findall("`(mod stable_memory;)`.* `(use .*;)`", PAGE.read_text())
    old, new = "ic_cdk::caller()", "ic_cdk::api::msg_caller()"
    assert f"`{old}` is `{new}`" in PAGE.read_text()
    for name in NAMES:
        replace(project / f"src/{name}/Cargo.toml", "\n".join(DEPENDENCIES[:2]), dependencies)
        replace(project / f"src/{name}/Cargo.toml", "", f"\n{for_tests}")
        (project / f"src/{name}/src/stable_memory.rs").write_text(stable_memory)
        lib = project / f"src/{name}/src/lib.rs"
        replace(lib, "use ic_stable_structures::DefaultMemoryImpl;", f"{module}\n{use}")
        replace(lib, old, new)
        replace(lib, "", f"\n{test}")


def test_adopted_canisters_keep_their_state_and_take_updates(build, repository: Path, tmp_path: Path) -> None:
    template, project = shutil.copytree(repository, tmp_path / "template"), tmp_path / "hello"
    git(template, "tag", "--delete", NEXT)
    write_project(project)
    run(script(PAGE, "Copy the template over the project").replace("TEMPLATE", f"'{template}'"), project)
    run(script(PAGE, "Put back what is yours"), project)
    make_edits(project)
    builds.optimize_less(project, *NAMES)
    builds.share_target(project)
    run(script(PAGE, "Build and test"), project)
    commit(project)

    run(f"bash build.sh {NAMES[1]} wasm32-unknown-unknown", project)
    hello, ledger = (project / f"target/wasm64-unknown-unknown/release/{name}.wasm" for name in NAMES)
    canister = Canister.install(project / f"target/wasm32-unknown-unknown/release/{NAMES[1]}.wasm")
    for bits, total, next_module in ((32, 5, ledger), (64, 10, hello), (64, 15, ledger)):
        assert canister.word_bits == bits
        assert canister.call("deposit", "(5 : nat64)") == f'(principal "2vxsx-fae", {total} : nat64)'
        canister.upgrade(next_module)

    git(template, "tag", NEXT)
    own = [project / "README.md", *project.glob("src/*/src/*.rs")]
    before = [path.read_text() for path in own]
    run(script(PAGE, "Update later"), project)
    assert not conflicts(project)
    assert {"build.sh", "dfx.json", "rust-toolchain.toml"} <= set(git(project, "diff", "--name-only").splitlines())
    assert before == [path.read_text() for path in own] and before[0] == "# Mine\n"
