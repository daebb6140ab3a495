"""Small projects for wasm32 in the shapes that owners have. The template is copied over them."""

import json
from dataclasses import dataclass

from scripts.workspace import TEMPLATE
from tests.support.owner import manifest
from tests.support.projects import LIB

PROFILE = "\n[profile.release]" + (TEMPLATE / "Cargo.toml.jinja").read_text().split("[profile.release]")[1]
"""The template's profile, for which other tests have compiled the dependencies already."""
CDK, STRUCTURES = ['candid = "=0.10.39"', 'ic-cdk = "=0.20.3"'], 'ic-stable-structures = "=0.7.2"'
GREET = '#[ic_cdk::query]\nfn greet(name: String) -> String {\n    format!("{} greets {name}", module_path!())\n}\n'
DID = "service : { greet : (text) -> (text) query }\n"
LIVE = """\
thread_local!(static GREETS: std::cell::RefCell<String> = Default::default());
#[ic_cdk::init] fn init(word: String) {
    let start = async { GREETS.with(|greets| *greets.borrow_mut() = word) };
    ic_cdk_timers::set_timer(std::time::Duration::from_secs(9), start);
}
#[ic_cdk::post_upgrade] fn post_upgrade(word: String) { init(word) }
#[ic_cdk::heartbeat] fn heartbeat() {}
#[ic_cdk::query] fn greet(name: String) -> String {
    GREETS.with(|greets| format!("{} {} {name}", module_path!(), greets.borrow()))
}
"""
"""A canister with init arguments, a timer and a heartbeat."""
STORE = """\
use ic_stable_structures::DefaultMemoryImpl;
use ic_stable_structures::StableCell;
thread_local!(static NAMES: std::cell::RefCell<StableCell<String, DefaultMemoryImpl>> =
    StableCell::init(DefaultMemoryImpl::default(), String::new()).into());
#[ic_cdk::update] fn greet(name: String) -> String {
    NAMES.with_borrow_mut(|names| names.set(names.get().clone() + &name));
    NAMES.with_borrow(|names| format!("{} greets {}", module_path!(), names.get()))
}
"""
"""A canister that greets everyone so far, from stable memory."""


@dataclass
class Shape:
    """An existing project. Each canister answers `greet("me")` with "PACKAGE greets me"."""

    packages: dict[str, str]  # Of each Rust canister.
    files: dict[str, str]
    edits: dict[str, int]  # How many lines of a file, or entries in dfx.json, an adoption changes.
    folder: str = "."  # Where the project is in its repository.
    init: str = "()"
    version: str | None = None  # The version of the template that wrote what is not in `files`.
    remembers: bool = False  # Whether `greet` repeats the names of earlier calls, also after an upgrade.


def crate(
    name: str, edition: int, *dependencies: str, folder: str = "", library: str = "", code: str = GREET
) -> dict[str, str]:
    """Return the files of a package in a folder such as "src/": of a library with this path, or of a binary."""
    text = manifest(name, *dependencies, is_library=bool(library)).replace("2021", str(edition))
    text = text.replace("[lib]\n", f'[lib]\npath = "{library}"\n')
    source = folder + (library or "src/main.rs")
    return {f"{folder}Cargo.toml": text, source: code + "fn main() {}\n" * (not library)}


def workspace(*members: str) -> str:
    return f'[workspace]\nmembers = {json.dumps(members)}\nresolver = "2"\n'


def recipe(name: str, **configuration: str | bool) -> str:
    rust = {"type": "@dfinity/rust@v3.3.0", "configuration": configuration}
    return json.dumps({"name": name, "recipe": rust}) + "\n"


ONE_PACKAGE = {
    **crate("greeter", 2024, *CDK, library="src/lib.rs"),
    "greeter.did": DID,
    "icp.yaml": "canisters:\n  - " + recipe("backend", candid="greeter.did", shrink=True),
    "../README.md": "# My services\n",
}
FOLDERS = {
    "Cargo.toml": workspace("backend", "archive"),
    "icp.yaml": "canisters:\n  - backend\n  - archive\n  - {name: web, build: {steps: [{type: script, command: exit}]}}\n",
    **crate("backend", 2021, CDK[0], 'ic-cdk = "0.19"', folder="backend/", library="lib.rs"),
    "backend/build.sh": "exit 1\n",
    "backend/canister.yaml": recipe("backend", shrink=True),
    **crate("archive", 2024, *CDK, folder="archive/"),
    "archive/canister.yaml": recipe("archive"),
}
BINARY = {
    "Cargo.toml": workspace("rs/*"),
    **crate("monitor-canister", 2018, *CDK, 'ic-cdk-timers = "=1.0.0"', folder="rs/monitor-canister/", code=LIVE),
    **crate("tool", 2021, folder="rs/tool/", code='#[cfg(target_family = "wasm")]\ncompile_error!("for the host");\n'),
    "rs/shared/Cargo.toml": manifest("shared", *CDK, is_library=False),
    "rs/shared/src/lib.rs": "pub fn shared() {}\n",
    "dfx.json": """{"canisters": {"web": {"type": "assets"}, "old": {"type": "motoko", "main": "old/main.mo"},
      "monitor": {"type": "custom", "wasm": "target/wasm32-unknown-unknown/release/monitor-canister.wasm",
      "build": "cargo build --target wasm32-unknown-unknown --release --package monitor-canister"}}}\n""",
}
BOTH_TOOLS = {
    "Cargo.toml": workspace("rs/api"),
    **crate("hello-api", 2021, CDK[0], 'ic-cdk = "0.18.3"', folder="rs/api/", library="api.rs"),
    "rs/api/hi.did": DID,
    "dfx.json": '{"canisters": {"hello": {"type": "rust", "package": "hello-api", "candid": "rs/api/hi.did"}}}\n',
    "icp.yaml": "canisters:\n  - " + recipe("hello", package="hello-api", candid="rs/api/hi.did"),
}
STABLE = {
    "Cargo.toml": workspace("src/*"),
    **crate("ledger", 2021, *CDK, STRUCTURES, folder="src/ledger/", library="src/lib.rs", code=STORE),
    "dfx.json": '{"canisters": {"ledger": {"type": "rust", "package": "ledger", "candid": "src/ledger/ledger.did"}}}\n',
}
OLD_CDK = {
    **crate("old", 2021, CDK[0], 'ic-cdk = "0.17"', library="src/lib.rs"),
    "icp.yaml": "canisters:\n  - " + recipe("old", package="old", compress=True),
}
RECIPES = {"archive/canister.yaml": 1, "backend/canister.yaml": 1}
LEDGER = {"dfx.json": 1, "src/ledger/src/lib.rs": 2}
SHAPES = {
    "one package": Shape({"backend": "greeter"}, ONE_PACKAGE, {"icp.yaml": 1}, folder="services"),
    "canisters in folders": Shape({"backend": "backend", "archive": "archive"}, FOLDERS, RECIPES),
    "a binary beside a frontend": Shape({"monitor": "monitor-canister"}, BINARY, {"dfx.json": 1}, init='("greets")'),
    "dfx and icp-cli": Shape({"hello": "hello-api"}, BOTH_TOOLS, {"dfx.json": 1, "icp.yaml": 1}),
    "stable structures": Shape({"ledger": "ledger"}, STABLE, LEDGER, remembers=True),
    "an old ic-cdk": Shape({"old": "old"}, OLD_CDK, {"Cargo.toml": 1, "icp.yaml": 1}),
    "version 1.0.0": Shape({"hello_backend": "hello_backend"}, {LIB: GREET}, {}, version="1.0.0"),
}
