"""A project that its owner extended: no other answer and no later version of the template causes a conflict."""

import re
from pathlib import Path

from runtime import Canister
from scripts.workspace import cargo
from tests.conftest import Project
from tests.support import builds
from tests.support.git import commit
from tests.support.owner import ADDITIONS, ENDPOINT, SETTINGS, Edit, make, manifest
from tests.support.projects import DID, LIB, OPTIONAL, WASM, Answers, run
from tests.support.updates import BY_PROGRAMS, NEWEST, NEXT, conflicts, files, update

RECORDS = """\
//! The members of our club.

use candid::CandidType;
use serde::Deserialize;

/// A person.
#[derive(CandidType, Deserialize)]
pub struct Record {
    pub name: String,
}

#[ic_cdk::query]
fn same(record: crate::records::Record) -> crate::records::Record {
    record
}
"""
GREETING: list[Edit] = [
    (LIB, "Hello, {name}! Powered", "Welcome, {name}! Powered"),
    (LIB, '"Hello, ICP! Powered by "', '"Welcome, ICP! Powered by "'),
]


def add_canister(project: Path) -> None:
    """Write a second canister, and make the project build into the shared target folder."""
    second = project / "src/second_backend"
    (second / "src").mkdir(parents=True)
    (second / "Cargo.toml").write_text(manifest("second_backend", "candid.workspace = true", "ic-cdk.workspace = true"))
    (second / "src/lib.rs").write_text(ENDPOINT.format("second"))
    builds.optimize_less(project, "hello_backend", "second_backend")
    builds.share_target(project)


def grow(project: Path) -> None:
    """Change what owners change, in the usual places, and commit."""
    add_canister(project)
    (project / LIB).with_name("records.rs").write_text(RECORDS)
    (own_versions,) = re.findall("# Add your own versions .*\n", (project / "Cargo.toml").read_text())
    own: list[Edit] = [
        ("Cargo.toml", own_versions, own_versions + 'serde = { version = "1", features = ["derive"] }\n'),
        ("README.md", "A Rust canister for the", "The ledger of our club, a Rust canister for the"),
        ("README.md", "## Update\n", "## Our club\n\nMeets on Mondays.\n\n## Update\n"),
        (LIB, "what it was compiled for.\n", "what it was compiled for.\n\nmod records;\n"),
        (LIB, "    /// `UPDATE_EXPECT", "    #[test]\n    fn is_mine() {}\n\n    /// `UPDATE_EXPECT"),
        ("dfx.json", '"candid:service" }]', '"candid:service" }],\n      "init_arg": "()"'),
        ("rust-toolchain.toml", "", "# The end.\n"),
        ("build.sh", "", "# The end.\n"),
    ]
    make(project, [*ADDITIONS, *GREETING, *own])
    cargo("add", "--quiet", "--package=hello_backend", "serde", cwd=project)
    cargo("add", "--quiet", "--package=second_backend", "ic-cdk-timers", cwd=project)
    commit(project)


def answer(project: Path, **answers: bool | str) -> None:
    """Give other answers, and commit. If an update refuses an answer, run the command that it names and try again."""
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
    """Let the project's tests write the .did, which an update does not change, commit, and return the .did."""
    builds.share_target(project)
    run("UPDATE_EXPECT=1 cargo test", project)
    commit(project)
    cargo("metadata", "--locked", "--format-version=1", cwd=project)
    return (project / DID).read_text()


def own_lines(project: Path) -> set[tuple[str, str]]:
    """Return each line of the files that no program writes and no answer deletes, with its file."""
    others = {".copier-answers.yml", *BY_PROGRAMS, *OPTIONAL["timers"], *OPTIONAL["pocket_ic"]}
    texts = {name: (project / name).read_text() for name in files(project).keys() - others}
    return {(name, line) for name, text in texts.items() for line in text.splitlines()}


def test_a_grown_project_never_meets_a_conflict(project: Project, build) -> None:
    folder = project(NEWEST)
    generated = own_lines(folder)
    grow(folder)
    ours = own_lines(folder) - generated
    assert len(ours) > 50

    answer(folder, timers=False, gzip=False, wasm_memory_limit="5 GiB")
    for table in ([], ["--dev"]):  # Both tables are sorted, so cargo adds the crate at their tops.
        cargo("add", "--quiet", "--package=hello_backend", *table, "autocfg", cwd=folder)
    did = bring_up_to_date(folder)
    assert "ticks" not in did and "// A person.\ntype Record = record {" in did
    done = build(folder)
    assert done.returncode == 0, done.stderr
    hello = Canister.install(folder / WASM, did=did)
    assert hello.call("same", '(record { name = "Ada" })') == '(record { name = "Ada" })'
    assert hello.call("greet", '("ICP")') == '("Welcome, ICP! Powered by wasm64")'
    assert "global_timer_set" not in hello.imports
    second = Canister.install((folder / WASM).with_name("second_backend.wasm"))
    assert second.call("second") == '("second")'

    answer(folder, timers=True, pocket_ic=True)
    assert (folder / OPTIONAL["pocket_ic"][0]).exists()
    answer(folder, pocket_ic=False)
    assert not (folder / OPTIONAL["pocket_ic"][0]).exists()
    assert "ticks : () -> (nat64) query" in bring_up_to_date(folder)

    pins = folder / "Cargo.toml"
    pins.write_text(re.sub('^candid = ".*"', 'candid = "=0.10.99"', pins.read_text(), flags=re.MULTILINE))
    commit(folder)
    update(folder, NEXT)
    assert 'candid = "=0.10.99"' in pins.read_text()
    assert not conflicts(folder), "Leave a line between the template's lines and the owners'."
    assert "CHANGED" in (folder / "build.sh").read_text()
    assert ours <= own_lines(folder)


def test_a_grown_1_0_0_project_never_meets_a_conflict(project: Project, build) -> None:
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
    update(folder, NEXT)
    assert not conflicts(folder)
