"""docs/how-to/adopt.md, followed: an existing project for wasm32 becomes one of this template, and its code stays."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from runtime import Canister
from tests.conftest import Project
from tests.support import builds
from tests.support.git import commit, git
from tests.support.packages import manifest
from tests.support.pages import HOW_TO, fenced, script
from tests.support.projects import replace, run
from tests.support.updates import NEXT

PAGE = HOW_TO / "adopt.md"
HELLO, LEDGER = "hello_backend", "ledger_backend"
DEPENDENCIES = ['candid = "0.10"', 'ic-cdk = "0.17"']
HELLO_CODE = """\
#[ic_cdk::query]
fn whoami() -> candid::Principal {
    ic_cdk::caller()
}

ic_cdk::export_candid!();
"""
LEDGER_CODE = """\
//! Keeps its state in stable memory.

use candid::Principal;
use ic_stable_structures::{DefaultMemoryImpl, StableBTreeMap};
use std::cell::RefCell;

thread_local! {
    static ACCOUNTS: RefCell<StableBTreeMap<Principal, u64, DefaultMemoryImpl>> =
        StableBTreeMap::init(DefaultMemoryImpl::default()).into();
}

#[ic_cdk::update]
fn deposit(amount: u64) -> u64 {
    ACCOUNTS.with_borrow_mut(|accounts| {
        let balance = accounts.get(&ic_cdk::caller()).unwrap_or_default() + amount;
        accounts.insert(ic_cdk::caller(), balance);
        balance
    })
}

ic_cdk::export_candid!();
"""
CANISTERS = {name: {"candid": f"src/{name}/{name}.did", "package": name, "type": "rust"} for name in (HELLO, LEDGER)}
DFX = {"canisters": CANISTERS, "defaults": {"build": {"args": ""}}, "output_env_file": ".env", "version": 1}
FILES = {
    ".gitignore": "# What dfx makes\n.dfx/\n\n# What cargo makes\ntarget/\n",
    "Cargo.toml": f'[workspace]\nmembers = ["src/{HELLO}", "src/{LEDGER}"]\nresolver = "2"\n',
    "README.md": "# hello\n\nTwo canisters.\n",
    "dfx.json": json.dumps(DFX, indent=2) + "\n",
    f"src/{HELLO}/Cargo.toml": manifest(HELLO, *DEPENDENCIES),
    f"src/{HELLO}/{HELLO}.did": "service : { whoami : () -> (principal) query }\n",
    f"src/{HELLO}/src/lib.rs": HELLO_CODE,
    f"src/{LEDGER}/Cargo.toml": manifest(LEDGER, *DEPENDENCIES, 'ic-stable-structures = "=0.7.2"'),
    f"src/{LEDGER}/{LEDGER}.did": "service : { deposit : (nat64) -> (nat64) }\n",
    f"src/{LEDGER}/src/lib.rs": LEDGER_CODE,
}
"""A project with two canisters as dfx lays it out."""


def follow(heading: str, project: Path, template: Path | None = None) -> None:
    """Run the commands below a heading of the page, for the template at a path."""
    run(re.sub(r"\bTEMPLATE\b", f"'{template}'", script(PAGE, heading)), project)


def edit_settings(project: Path) -> None:
    """Make the edits below "Put back what is yours"."""
    dfx = project / "dfx.json"
    (entry,) = re.findall(rf'    "{HELLO}": {{\n(?:      .*\n)+    }}', dfx.read_text())
    replace(dfx, entry, f"{entry},\n{entry.replace(HELLO, LEDGER)}")
    replace(dfx, "\n  }\n}\n", '\n  },\n  "defaults": { "build": { "args": "" } },\n  "output_env_file": ".env"\n}\n')
    icp = project / "icp.yaml"
    (entry,) = re.findall(r"^  - (?:.*\n){3}", icp.read_text(), re.MULTILINE)
    replace(icp, "", entry.replace(HELLO, LEDGER))
    (members,) = re.findall(r"`(members = \[.*?\])`", PAGE.read_text())
    replace(project / "Cargo.toml", f'members = ["src/{HELLO}"]', members)
    dependencies, for_tests = fenced(PAGE, "toml")[0].split("\n\n")
    for name in (HELLO, LEDGER):
        replace(project / f"src/{name}/Cargo.toml", 'candid = "0.10"\nic-cdk = "0.17"', dependencies)
        replace(project / f"src/{name}/Cargo.toml", "", f"\n{for_tests}")


def edit_code(project: Path) -> None:
    """Make the edits below "Change the code"."""
    stable_memory, test = fenced(PAGE, "rust")
    old, new = "ic_cdk::caller()", "ic_cdk::api::msg_caller()"
    assert f"`{old}` is `{new}`" in PAGE.read_text()
    for name in (HELLO, LEDGER):
        lib = project / f"src/{name}/src/lib.rs"
        lib.write_text(lib.read_text().replace(old, new) + "\n" + test)
    (project / f"src/{LEDGER}/src/stable_memory.rs").write_text(stable_memory)
    ((module, use),) = re.findall("`(mod stable_memory;)`.* `(use .*;)`", PAGE.read_text())
    replace(lib, "\nuse candid::", f"\n{module}\n\nuse candid::")
    replace(lib, "{DefaultMemoryImpl, StableBTreeMap}", "StableBTreeMap")
    replace(lib, "use std::cell::RefCell;", f"{use}\nuse std::cell::RefCell;")


@pytest.fixture(scope="module")
def upstream(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose newest tag is that of the work tree. The next version has no tag yet."""
    folder = shutil.copytree(repository, tmp_path_factory.mktemp("adopt") / "template")
    git(folder, "tag", "--delete", NEXT)
    return folder


@pytest.fixture(scope="module")
def adopted(upstream: Path) -> Path:
    """The project after all steps of the page that come before the first build, committed."""
    project = upstream.with_name("hello")
    for file, text in FILES.items():
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text(text)
    commit(project)
    follow("Copy the template over the project", project, upstream)
    follow("Put back what is yours", project)
    edit_settings(project)
    edit_code(project)
    commit(project)
    return project


def test_an_adopted_project_keeps_its_code(adopted: Path) -> None:
    assert (adopted / "README.md").read_text() == FILES["README.md"]
    assert (adopted / ".gitignore").read_text().endswith(FILES[".gitignore"])
    diff = git(adopted, "diff", "-U0", "HEAD~1", "--", "src/*/src/*", "src/*/*.did")
    removed = [line for line in diff.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert len(removed) == 4
    assert all("ic_cdk::caller()" in line or "{DefaultMemoryImpl, StableBTreeMap}" in line for line in removed)


def test_each_adopted_canister_has_the_generated_entries(adopted: Path, rendered: Project) -> None:
    new = rendered(timers=False)
    dfx, new_dfx = (json.loads((folder / "dfx.json").read_text()) for folder in (adopted, new))
    icp, new_icp = (yaml.safe_load((folder / "icp.yaml").read_text()) for folder in (adopted, new))
    entries = new_dfx["canisters"][HELLO], new_icp["canisters"][0]
    of_hello, of_ledger = (json.loads(json.dumps(entries).replace(HELLO, name)) for name in (HELLO, LEDGER))
    assert dfx == DFX | {"canisters": {HELLO: of_hello[0], LEDGER: of_ledger[0]}}
    assert icp["canisters"] == [of_hello[1], of_ledger[1]]


def test_an_update_reaches_an_adopted_project(adopted: Path, upstream: Path, tmp_path: Path) -> None:
    project = shutil.copytree(adopted, tmp_path / "hello")
    git(upstream, "tag", NEXT)
    follow("Update later", project)
    git(upstream, "tag", "--delete", NEXT)
    changed = git(project, "diff", "--name-only").splitlines()
    assert {"build.sh", "Cargo.toml", "dfx.json", "rust-toolchain.toml"} <= set(changed)
    assert not [name for name in changed if name.startswith("src/") or name == "README.md"]
    assert f"src/{LEDGER}" in (project / "Cargo.toml").read_text()


def test_adopted_canisters_answer_and_keep_their_state(adopted: Path, build, tmp_path: Path) -> None:
    project = shutil.copytree(adopted, tmp_path / "hello")
    builds.optimize_less(project, HELLO, LEDGER)
    builds.share_target(project)
    follow("Build and test", project)
    done = build(project, LEDGER, "wasm32-unknown-unknown")
    assert done.returncode == 0, done.stderr
    wasm64, wasm32 = (project / f"target/wasm{bits}-unknown-unknown/release" for bits in (64, 32))

    hello = Canister.install(wasm64 / f"{HELLO}.wasm")
    assert (hello.word_bits, hello.call("whoami")) == (64, '(principal "2vxsx-fae")')

    ledger = Canister.install(wasm32 / f"{LEDGER}.wasm")
    assert (ledger.word_bits, ledger.call("deposit", "(100 : nat64)")) == (32, "(100 : nat64)")
    for total in (105, 110):
        ledger.upgrade(wasm64 / f"{LEDGER}.wasm")
        assert (ledger.word_bits, ledger.call("deposit", "(5 : nat64)")) == (64, f"({total} : nat64)")
