"""The story of a project that its owner went on with for a year: no answer and no version of the template ends in a conflict."""

import re
from pathlib import Path

import pytest
from canister import Canister
from conftest import Generate, build, share_target
from documents import HOW_TO, fenced
from projects import (
    LIB,
    NEWEST,
    NEXT,
    NEXT_VERSION,
    OPTIONAL,
    SECOND_CARGO_TOML,
    commit,
    conflicts,
    files,
    replace,
    run,
    update,
)
from workspace import cargo

pytestmark = pytest.mark.rust

RECORDS = """\
//! Records in stable memory.

use crate::stable_memory::DefaultMemoryImpl;
use candid::{CandidType, Decode, Encode};
use ic_stable_structures::{StableBTreeMap, Storable, storable::Bound};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, cell::RefCell};

thread_local! {
    static RECORDS: RefCell<StableBTreeMap<u64, Record, DefaultMemoryImpl>> =
        StableBTreeMap::init(DefaultMemoryImpl::default()).into();
}

/// A person.
#[derive(CandidType, Clone, Deserialize, Serialize)]
pub struct Record {
    /// In full.
    pub name: String,
}

impl Storable for Record {
    const BOUND: Bound = Bound::Unbounded;

    fn to_bytes(&self) -> Cow<'_, [u8]> {
        self.clone().into_bytes().into()
    }

    fn into_bytes(self) -> Vec<u8> {
        Encode!(&self).unwrap()
    }

    fn from_bytes(bytes: Cow<[u8]>) -> Self {
        Decode!(&bytes, Self).unwrap()
    }
}

#[ic_cdk::update]
fn put(id: u64, record: crate::records::Record) {
    RECORDS.with_borrow_mut(|records| records.insert(id, record));
}

#[ic_cdk::query]
fn get(id: u64) -> Option<crate::records::Record> {
    RECORDS.with_borrow(|records| records.get(&id))
}
"""
OWN_ENDPOINT = """\
#[ic_cdk::query]
fn farewell(name: String) -> String {
    format!("Goodbye, {name}!")
}

"""
OWN_VERSION = """\
#[ic_cdk::query]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

"""
OWN_TEST = """\
    #[test]
    fn says_goodbye() {
        assert_eq!(farewell("ICP".into()), "Goodbye, ICP!");
    }

"""
CALLER_MANIFEST = SECOND_CARGO_TOML.replace("second_backend", "caller_backend").replace('serde = "1"\n', "")
CALLER = """\
//! Calls hello_backend, and counts the minutes.

use candid::{CandidType, Principal};
use ic_cdk::call::Call;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static MINUTES: Cell<u64> = const { Cell::new(0) };
}

#[derive(CandidType, Deserialize, Serialize)]
struct Record {
    name: String,
}

#[ic_cdk::init]
fn init() {
    ic_cdk_timers::set_timer_interval(Duration::from_secs(60), async || MINUTES.set(MINUTES.get() + 1));
}

#[ic_cdk::query]
fn minutes() -> u64 {
    MINUTES.get()
}

#[ic_cdk::update]
async fn name_of(hello: Principal, id: u64) -> Option<String> {
    let reply = Call::bounded_wait(hello, "get").with_arg(id).await.unwrap();
    reply.candid::<Option<Record>>().unwrap().map(|record| record.name)
}
"""
CALLER_IN_DFX = """
    },
    "caller_backend": {
      "candid": "src/caller_backend/caller_backend.did",
      "build": "bash build.sh caller_backend",
      "dependencies": ["hello_backend"],
      "type": "custom",
      "wasm": "target/wasm64-unknown-unknown/release/caller_backend.wasm"
    }
  }
"""
CALLER_IN_ICP = """\
  - name: caller_backend
    settings: { wasm_memory_limit: 4 GiB }
    recipe: { type: file://wasm64.hbs, configuration: { package: caller_backend } }
"""
NETWORKS = '"version": 1,\n  "networks": { "staging": { "providers": ["https://icp-api.io"], "type": "persistent" } },'
SERDE = 'serde = { version = "1", features = ["derive"] }\n'


def grow(project: Path) -> None:
    """Do what owners do in the places where they do it, and commit."""
    share_target(project)
    add_canister(project)
    replace(project / "icp.yaml", "", CALLER_IN_ICP)
    line = re.search("# Add your own versions .*\n", (project / "Cargo.toml").read_text())[0]
    replace(project / "Cargo.toml", line, line + SERDE)
    replace(project / "README.md", "A Rust canister for the", "The ledger of our club, a Rust canister for the")
    replace(project / "README.md", "## Update\n", "## Our club\n\nMeets on Mondays.\n\n## Update\n")
    replace(project / ".github/workflows/ci.yml", "", "      - run: bash deploy.sh\n")
    lib = project / LIB
    replace(
        lib, "//! Says hello, and what it was compiled for.\n", "//! The ledger.\n\nmod records;\nmod stable_memory;\n"
    )
    replace(lib, "Hello, {name}! Powered", "Welcome, {name}! Powered")
    replace(lib, '"Hello, ICP! Powered by "', '"Welcome, ICP! Powered by "')
    replace(lib, "#[ic_cdk::query]\nfn greet", f"{OWN_VERSION}#[ic_cdk::query]\nfn greet")
    replace(lib, "\n#[cfg(test)]\nmod tests", f"\n{OWN_ENDPOINT}#[cfg(test)]\nmod tests")
    replace(lib, "    /// `UPDATE_EXPECT", f"{OWN_TEST}    /// `UPDATE_EXPECT")
    (memory,) = [text for text in fenced(HOW_TO / "adopt.md", "rust") if "impl ic_stable_structures::Memory" in text]
    lib.with_name("stable_memory.rs").write_text(memory)
    lib.with_name("records.rs").write_text(RECORDS)
    for crate in ("ic-stable-structures@0.7.2", "serde"):
        cargo("add", "--quiet", "--package=hello_backend", crate, cwd=project)
    for crate in ("ic-cdk-timers", "serde"):
        cargo("add", "--quiet", "--package=caller_backend", crate, cwd=project)
    commit(project)


def add_canister(project: Path) -> None:
    """Add a canister that calls the first, settings of dfx, and lines of .gitignore."""
    caller = project / "src/caller_backend"
    (caller / "src").mkdir(parents=True)
    (caller / "Cargo.toml").write_text(CALLER_MANIFEST)
    (caller / "src/lib.rs").write_text(CALLER)
    (caller / "caller_backend.did").write_text("service : { minutes : () -> (nat64) query }\n")
    replace(project / "Cargo.toml", '"src/hello_backend"', '"src/hello_backend", "src/caller_backend"')
    replace(project / "dfx.json", "\n    }\n  }\n", CALLER_IN_DFX)
    replace(project / "dfx.json", '"version": 1,', NETWORKS)
    replace(project / ".gitignore", "", "/.env\n/node_modules\n")


def answer(project: Path, **answers: bool | str) -> None:
    """Give other answers. Where an update refuses one, run the command that it names, and try again."""
    try:
        update(project, **answers)
    except ValueError as refusal:
        (command,) = re.findall("Run (git rm .*) first: ", str(refusal))
        run(command, project)
        update(project, **answers)
    assert not conflicts(project)


def bring_up_to_date(project: Path) -> None:
    """Let the tests write what an update left alone, and commit: Cargo.lock is then right."""
    run("UPDATE_EXPECT=1 cargo test", project)
    commit(project)
    cargo("metadata", "--locked", "--format-version=1", cwd=project)


def canister(project: Path, name: str) -> Canister:
    """A new canister with the module of a package."""
    did = (project / f"src/{name}/{name}.did").read_text()
    return Canister.install(project / f"target/wasm64-unknown-unknown/release/{name}.wasm", did=did)


def own_lines(project: Path) -> set[tuple[str, str]]:
    """Each line that the owner has, with its file, but for those that programs write and that answers change."""
    names = {name for name in files(project) if not name.endswith((".lock", ".did", "timers.rs", "pocket_ic.rs"))}
    lines = {(name, line) for name in names for line in (project / name).read_text().splitlines()}
    return {(name, line) for name, line in lines if name != ".copier-answers.yml"}


def test_a_grown_project_never_meets_a_conflict(start: Generate) -> None:
    project = start(NEWEST)
    generated = own_lines(project)
    grow(project)
    did = project / "src/hello_backend/hello_backend.did"
    ours = own_lines(project) - generated
    assert len(ours) > 100

    answer(project, timers=False)
    for table in ([], ["--dev"]):  # Which are sorted now, so that cargo adds to their tops.
        cargo("add", "--quiet", "--package=hello_backend", *table, "autocfg", cwd=project)
    bring_up_to_date(project)
    assert "ticks" not in did.read_text() and "// A person.\ntype Record = record {" in did.read_text()
    assert "get : (nat64) -> (opt Record) query" in did.read_text()
    assert build(project).returncode == 0
    ledger, caller = canister(project, "hello_backend"), canister(project, "caller_backend")
    ledger.call("put", '(1 : nat64, record { name = "Ada" })')
    ledger.upgrade()
    assert ledger.call("get", "(1 : nat64)") == '(opt record { name = "Ada" })'
    assert ledger.call("greet", '("ICP")') == '("Welcome, ICP! Powered by wasm64")'
    caller.advance(60)
    assert caller.call("minutes") == "(1 : nat64)"

    answer(project, timers=True)
    bring_up_to_date(project)
    assert "ticks : () -> (nat64) query" in did.read_text()

    for pocket_ic in (True, False):
        answer(project, pocket_ic=pocket_ic)
        assert (project / OPTIONAL["pocket_ic"][0]).exists() == pocket_ic
        cargo("metadata", "--format-version=1", cwd=project)
        commit(project)
    answer(project, gzip=False, wasm_memory_limit="5 GiB")
    commit(project)

    assert ours <= own_lines(project)
    update_to_next(project)
    assert ours <= own_lines(project)


def update_to_next(project: Path) -> None:
    """Update to the template's next version, which changes a line of every file; each change arrives."""
    update(project, NEXT)
    assert not conflicts(project)
    texts = "".join((project / name).read_text() for name in files(project))
    for name, (_, new) in NEXT_VERSION.items():
        if not name.endswith(("Cargo.lock.jinja", ".did.jinja", "pocket_ic.rs.jinja")):
            (line, *_) = set(new.splitlines()) - set(NEXT_VERSION[name][0].splitlines())
            assert line in texts, name


def test_a_1_0_0_project_with_two_canisters_has_no_conflict(start: Generate) -> None:
    project = start("v1.0.0")
    share_target(project)
    add_canister(project)
    replace(project / LIB, "Hello, {name}! Powered", "Welcome, {name}! Powered")
    replace(project / LIB, '"Hello, ICP! Powered by "', '"Welcome, ICP! Powered by "')
    cargo("add", "--quiet", "--package=hello_backend", "serde", cwd=project)
    for crate in (["ic-cdk-timers@1"], ["serde@1", "--features=derive"]):
        cargo("add", "--quiet", "--package=caller_backend", *crate, cwd=project)
    commit(project)
    update(project, NEWEST)
    assert not conflicts(project)
    bring_up_to_date(project)
    assert "ticks : () -> (nat64) query" in (project / "src/hello_backend/hello_backend.did").read_text()
    for answers in ({"timers": False}, {"timers": True}, {"pocket_ic": True}, {"pocket_ic": False}):
        answer(project, **answers)
        commit(project)
    update_to_next(project)


def test_own_code_beside_1_0_0s_sample_conflicts_in_lib_rs(start: Generate) -> None:
    project = start("v1.0.0")
    replace(project / LIB, "use std::cell::Cell;\n", "use candid::Principal;\nuse std::cell::Cell;\n")
    replace(project / LIB, "\nic_cdk::export_candid!();", f"\n{OWN_ENDPOINT}ic_cdk::export_candid!();")
    commit(project)
    update(project, NEWEST)
    assert conflicts(project) == {LIB}
