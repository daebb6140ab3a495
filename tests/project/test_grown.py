"""The story of a project that its owner extends for a year: no answer and no version of the template leads to a conflict."""

import re
from pathlib import Path

from runtime import Canister
from scripts.workspace import cargo
from tests.conftest import Project
from tests.support import builds
from tests.support.git import commit
from tests.support.owner import ADDITIONS, ENDPOINT, SETTINGS, Edit, make
from tests.support.packages import manifest
from tests.support.projects import DID, LIB, OPTIONAL, Answers, replace, run
from tests.support.updates import BY_PROGRAMS, NEWEST, NEXT, conflicts, files, update

RECORDS = """\
//! The members of our club.

use candid::CandidType;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static RECORDS: RefCell<BTreeMap<u64, Record>> = RefCell::default();
}

/// A person.
#[derive(CandidType, Clone, Deserialize, Serialize)]
pub struct Record {
    /// In full.
    pub name: String,
}

#[ic_cdk::update]
fn put(id: u64, record: crate::records::Record) {
    RECORDS.with_borrow_mut(|records| records.insert(id, record));
}

#[ic_cdk::query]
fn get(id: u64) -> Option<crate::records::Record> {
    RECORDS.with_borrow(|records| records.get(&id).cloned())
}
"""
TEST = """\
    #[test]
    fn is_below() {
        assert_eq!(below(), "below");
    }

"""
CLOCK = """\
//! Counts the minutes.

thread_local! {
    static MINUTES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[ic_cdk::init]
fn init() {
    let minute = std::time::Duration::from_secs(60);
    ic_cdk_timers::set_timer_interval(minute, async || MINUTES.set(MINUTES.get() + 1));
}

#[ic_cdk::query]
fn minutes() -> u64 {
    MINUTES.get()
}
"""
GREETING: list[Edit] = [
    (LIB, "Hello, {name}! Powered", "Welcome, {name}! Powered"),
    (LIB, '"Hello, ICP! Powered by "', '"Welcome, ICP! Powered by "'),
]


def add_canister(project: Path) -> None:
    """Write the second canister, and let the project build in the shared target folder."""
    second = project / "src/second_backend"
    (second / "src").mkdir(parents=True)
    (second / "Cargo.toml").write_text(manifest("second_backend", "candid.workspace = true", "ic-cdk.workspace = true"))
    (second / "src/lib.rs").write_text(CLOCK)
    (second / "second_backend.did").write_text("service : { minutes : () -> (nat64) query }\n")
    builds.optimize_less(project, "hello_backend", "second_backend")
    builds.share_target(project)


def grow(project: Path) -> None:
    """Change what owners change, in the places where they do, and commit."""
    add_canister(project)
    (project / LIB).with_name("records.rs").write_text(RECORDS)
    (own_versions,) = re.findall("# Add your own versions .*\n", (project / "Cargo.toml").read_text())
    own: list[Edit] = [
        ("Cargo.toml", own_versions, own_versions + 'serde = { version = "1", features = ["derive"] }\n'),
        ("README.md", "A Rust canister for the", "The ledger of our club, a Rust canister for the"),
        ("README.md", "## Update\n", "## Our club\n\nMeets on Mondays.\n\n## Update\n"),
        (LIB, "what it was compiled for.\n", "what it was compiled for.\n\nmod records;\n"),
        (LIB, "    /// `UPDATE_EXPECT", f"{TEST}    /// `UPDATE_EXPECT"),
    ]
    make(project, [*ADDITIONS, *GREETING, *own])
    cargo("add", "--quiet", "--package=hello_backend", "serde", cwd=project)
    cargo("add", "--quiet", "--package=second_backend", "ic-cdk-timers", cwd=project)
    commit(project)


def answer(project: Path, **answers: bool | str) -> None:
    """Give other answers, and commit. Where an update refuses one, run the command that it names and try again."""
    try:
        update(project, **answers)
    except ValueError as refusal:
        (command,) = re.findall("Run (git rm .*) first: ", str(refusal))
        run(command, project)
        update(project, **answers)
    assert not conflicts(project)
    cargo("metadata", "--format-version=1", cwd=project)
    commit(project)


def bring_up_to_date(project: Path) -> str:
    """Let the project's tests write what an update leaves alone, commit, and return the interface."""
    builds.share_target(project)
    run("UPDATE_EXPECT=1 cargo test", project)
    commit(project)
    cargo("metadata", "--locked", "--format-version=1", cwd=project)
    return (project / DID).read_text()


def update_to_next(project: Path, next_project: Path) -> None:
    """Update to the template's next version. It changes each file, and each change arrives."""
    update(project, NEXT)
    assert not conflicts(project)
    news = {name for name, (_, content) in files(next_project).items() if b"NEWS" in content} - BY_PROGRAMS
    assert len(news) > 10
    assert not [name for name in news if "NEWS" not in (project / name).read_text()]


def own_lines(project: Path) -> set[tuple[str, str]]:
    """Return each line that only the owner changes, with its file."""
    others = {".copier-answers.yml", *BY_PROGRAMS, *OPTIONAL["timers"], *OPTIONAL["pocket_ic"]}
    texts = {name: (project / name).read_text() for name in files(project).keys() - others}
    return {(name, line) for name, text in texts.items() for line in text.splitlines()}


def installed(project: Path, name: str) -> Canister:
    """Install the module that build.sh made of a package, with the interface in its .did file."""
    did = (project / f"src/{name}/{name}.did").read_text()
    return Canister.install(project / f"target/wasm64-unknown-unknown/release/{name}.wasm", did=did)


def test_a_grown_project_never_meets_a_conflict(project: Project, committed: Project, build) -> None:
    folder = project(NEWEST)
    generated = own_lines(folder)
    grow(folder)
    ours = own_lines(folder) - generated
    assert len(ours) > 50

    answer(folder, timers=False, gzip=False, wasm_memory_limit="5 GiB")
    for table in ([], ["--dev"]):  # Both tables are sorted now, so that cargo adds to their tops.
        cargo("add", "--quiet", "--package=hello_backend", *table, "autocfg", cwd=folder)
    did = bring_up_to_date(folder)
    assert "ticks" not in did and "// A person.\ntype Record = record {" in did
    assert "get : (nat64) -> (opt Record) query" in did
    done = build(folder)
    assert done.returncode == 0, done.stderr
    hello, clock = installed(folder, "hello_backend"), installed(folder, "second_backend")
    hello.call("put", '(1 : nat64, record { name = "Ada" })')
    assert hello.call("get", "(1 : nat64)") == '(opt record { name = "Ada" })'
    assert hello.call("greet", '("ICP")') == '("Welcome, ICP! Powered by wasm64")'
    clock.advance(60)
    assert clock.call("minutes") == "(1 : nat64)"

    answer(folder, timers=True, pocket_ic=True)
    assert (folder / OPTIONAL["pocket_ic"][0]).exists()
    answer(folder, pocket_ic=False)
    assert not (folder / OPTIONAL["pocket_ic"][0]).exists()
    assert "ticks : () -> (nat64) query" in bring_up_to_date(folder)

    assert ours <= own_lines(folder)
    update_to_next(folder, committed(NEXT))
    assert ours <= own_lines(folder)


def test_a_grown_1_0_0_project_never_meets_a_conflict(project: Project, committed: Project, build) -> None:
    folder = project("v1.0.0")
    add_canister(folder)
    make(folder, [*SETTINGS, *GREETING])
    for crate in (["ic-cdk-timers@1"], ["serde@1", "--features=derive"]):
        cargo("add", "--quiet", "--package=second_backend", *crate, cwd=folder)
    cargo("add", "--quiet", "--package=hello_backend", "serde", cwd=folder)
    commit(folder)
    update(folder, NEWEST)
    assert not conflicts(folder)
    assert "ticks : () -> (nat64) query" in bring_up_to_date(folder)
    each: list[Answers] = [{"timers": False, "pocket_ic": True}, {"timers": True, "pocket_ic": False}]
    for answers in each:
        answer(folder, **answers)
    update_to_next(folder, committed(NEXT))


def test_code_beside_the_sample_of_1_0_0_conflicts_in_lib_rs(project: Project) -> None:
    folder = project("v1.0.0")
    replace(folder / LIB, "use std::cell::Cell;\n", "use candid::Principal;\nuse std::cell::Cell;\n")
    end = "\nic_cdk::export_candid!();"
    replace(folder / LIB, end, "\n" + ENDPOINT.format("below") + end)
    commit(folder)
    update(folder, NEWEST)
    assert conflicts(folder) == {LIB}
