"""docs/how-to/adopt.md: a project that dfx laid out for wasm32 becomes one of this template, and its code stays."""

import json
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from canister import Canister
from conftest import ROOT, build, copy, share_target
from documents import HOW_TO, fenced, script
from projects import commit, git, replace, run

RECIPE = HOW_TO / "adopt.md"
OLD = ROOT / "tests/wasm32_project"
HELLO, LEDGER = "hello_backend", "ledger_backend"
ANONYMOUS, OTHER = '(principal "2vxsx-fae")', 'principal "aaaaa-aa"'
DEPENDENCIES = f'      "dependencies": ["{HELLO}"],\n'
"""What ledger_backend has in dfx.json besides what dfx wrote."""
RENAMED = {"ic_cdk::caller()": "ic_cdk::api::msg_caller()"}
"""What the compiler of the adopted project asks to change in the owner's code."""
IN_NEWER = {
    "build.sh": ("# Builds all", "# Constructs all"),
    "Cargo.toml.jinja": ("codegen-units = 1", "codegen-units = 2"),
    "README.md.jinja": ("## Deploy and call", "## Deployment"),
    "src/{{ canister_name }}/Cargo.toml.jinja": ('edition = "2024"', 'edition = "2027"'),
    "src/{{ canister_name }}/{{ canister_name }}.did.jinja": ("{% if timers", "// News.\n{% if timers"),
    "src/{{ canister_name }}/src/lib.rs.jinja": ("//! Says hello", "//! Greets"),
}
"""What a newer template says otherwise: for each file, what it says now and what it says then."""


# The recipe, read


def section(heading: str) -> str:
    """The recipe's text below a heading."""
    return RECIPE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def follow(heading: str, project: Path, template: Path | None = None) -> str:
    """Run the commands below a heading as they stand, for the template at a path, and return what they print."""
    commands = re.sub(r"\bTEMPLATE\b", f"'{template}'", script(RECIPE, heading))
    return run(commands, project, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


# The recipe, done by hand


def put_back(project: Path) -> None:
    """The edits below "Put back what is yours"."""
    dfx = project / "dfx.json"
    entry = re.search(rf'    "{HELLO}": {{\n.*?\n    }}', dfx.read_text(), re.DOTALL).group()
    old_settings = re.search(r',\n  "defaults".*"\.env"', (OLD / "dfx.json").read_text(), re.DOTALL).group()
    replace(dfx, entry, f"{entry},\n{entry.replace(HELLO, LEDGER)}")
    replace(dfx, f'{LEDGER}.did",\n', f'{LEDGER}.did",\n{DEPENDENCIES}')
    replace(dfx, "\n  }\n}\n", f"\n  }}{old_settings}\n}}\n")
    icp = project / "icp.yaml"
    (entry,) = re.findall(r"^  - (?:.*\n){3}", icp.read_text(), re.MULTILINE)
    icp.write_text(icp.read_text() + entry.replace(HELLO, LEDGER))
    members = re.search(r"`(members = \[.*?\])`", section("Put back what is yours")).group(1)
    replace(project / "Cargo.toml", f'members = ["src/{HELLO}"]', members)
    dependencies, for_tests = fenced(RECIPE, "toml")[0].split("\n\n")
    for name in (HELLO, LEDGER):
        manifest = project / f"src/{name}/Cargo.toml"
        replace(manifest, 'candid = "0.10"\nic-cdk = "0.17"', dependencies)
        manifest.write_text(f"{manifest.read_text()}\n{for_tests}")


def change_code(project: Path) -> None:
    """The edits below "Change the code"."""
    stable_memory, interface = fenced(RECIPE, "rust")
    assert all(f"`{old}` is `{new}`" in section("Change the code") for old, new in RENAMED.items())
    for name in (HELLO, LEDGER):
        lib = project / f"src/{name}/src/lib.rs"
        code = lib.read_text()
        for old, new in RENAMED.items():
            assert old in code
            code = code.replace(old, new)
        lib.write_text(f"{code}\n{interface.replace(HELLO, name)}")
    (project / f"src/{LEDGER}/src/stable_memory.rs").write_text(stable_memory)
    lib = project / f"src/{LEDGER}/src/lib.rs"
    replace(lib, "\nuse candid::", "\nmod stable_memory;\n\nuse candid::")
    replace(lib, "{DefaultMemoryImpl, StableBTreeMap}", "StableBTreeMap")
    replace(lib, "use std::cell::RefCell;", "use stable_memory::DefaultMemoryImpl;\nuse std::cell::RefCell;")


# The projects


@pytest.fixture(scope="module")
def covered(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old project, committed, with the template copied over it."""
    project = shutil.copytree(OLD, tmp_path_factory.mktemp("adoption") / "hello")
    commit(project)
    follow("Copy the template over the project", project, snapshot)
    return project


@pytest.fixture(scope="module")
def adopted(covered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That project, committed, with all that the recipe says to do by hand; cargo has not seen it yet."""
    project = shutil.copytree(covered, tmp_path_factory.mktemp("adopted") / "hello")
    follow("Put back what is yours", project)
    put_back(project)
    change_code(project)
    commit(project)
    return project


@pytest.fixture
def project(adopted: Path, tmp_path: Path) -> Path:
    """The adopted project, for one test to change."""
    return shutil.copytree(adopted, tmp_path / "hello")


@pytest.fixture(scope="module")
def built(adopted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adopted project, built and tested."""
    project = shutil.copytree(adopted, tmp_path_factory.mktemp("built") / "hello")
    share_target(project)
    follow("Build and test", project)
    return project


@pytest.fixture(scope="module")
def modules(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with NAME.wasm of each canister as dfx.json names it, and ledger_backend for wasm32 as wasm32.wasm."""
    folder = tmp_path_factory.mktemp("modules")
    for name, canister in json.loads((built / "dfx.json").read_text())["canisters"].items():
        shutil.copy(built / canister["wasm"], folder / f"{name}.wasm")
    result = build(built, LEDGER, "wasm32-unknown-unknown")
    assert result.returncode == 0, result.stderr
    shutil.copy(built / f"target/wasm32-unknown-unknown/release/{LEDGER}.wasm", folder / "wasm32.wasm")
    return folder


# What is promised


def test_the_template_goes_over_the_project_and_leaves_its_code(covered: Path) -> None:
    status = git(covered, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert {line[3:] for line in status if line.startswith(" M ")} == {
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "dfx.json",
    }
    assert {line[3:] for line in status if line.startswith("?? ")} == {
        ".copier-answers.yml",
        ".github/workflows/ci.yml",
        ".github/workflows/template.yml",
        "build.sh",
        "icp.yaml",
        "rust-toolchain.toml",
        "wasm64.hbs",
    }
    assert len(status) == 11


def test_the_owners_code_differs_only_where_the_recipe_says(adopted: Path) -> None:
    diff = git(adopted, "diff", "-U0", "HEAD~1", "--", "src/*/src/lib.rs", "*.did", "README.md")
    removed = [line[1:] for line in diff.splitlines() if re.match(r"-(?!--)", line)]
    assert len(removed) == 7
    assert all(any(old in line for old in (*RENAMED, "DefaultMemoryImpl, StableBTreeMap")) for line in removed)
    for name in (HELLO, LEDGER):
        assert (adopted / f"src/{name}/{name}.did").read_bytes() == (OLD / f"src/{name}/{name}.did").read_bytes()


def test_each_canister_is_built_for_wasm64_by_dfx_and_icp_cli(adopted: Path, snapshot: Path, tmp_path: Path) -> None:
    fresh = copy(snapshot, tmp_path / "hello", timers=False)
    dfx, new_dfx = (json.loads((folder / "dfx.json").read_text()) for folder in (adopted, fresh))
    icp, new_icp = (yaml.safe_load((folder / "icp.yaml").read_text()) for folder in (adopted, fresh))
    entry, new_entry = new_dfx["canisters"][HELLO], new_icp["canisters"][0]
    assert entry["type"] == "custom" and "wasm64" in entry["wasm"]
    assert dfx["canisters"] == {HELLO: entry, LEDGER: named(LEDGER, entry) | {"dependencies": [HELLO]}}
    assert icp["canisters"] == [new_entry, named(LEDGER, new_entry)]


def named(name: str, entry: dict[str, object]) -> dict[str, object]:
    """The entry of hello_backend as another canister's."""
    return json.loads(json.dumps(entry).replace(HELLO, name))


def test_the_projects_own_settings_stay(adopted: Path) -> None:
    dfx, old = (json.loads((folder / "dfx.json").read_text()) for folder in (adopted, OLD))
    assert {**dfx, "canisters": {}} == {**old, "canisters": {}}
    ignored = (adopted / ".gitignore").read_text()
    assert ignored.endswith((OLD / ".gitignore").read_text()) and ignored.startswith("/target\n")


def test_an_update_with_nothing_new_changes_nothing(project: Path) -> None:
    follow("Update later", project)
    assert git(project, "status", "--porcelain") == ""


def test_a_newer_template_reaches_the_project_and_leaves_its_code(
    project: Path, snapshot: Path, tmp_path: Path
) -> None:
    newer = shutil.copytree(snapshot, tmp_path / "newer")
    for name, (old, new) in IN_NEWER.items():
        replace(newer / "template" / name, old, new)
    commit(newer, "v9999.1.0")
    answers = project / ".copier-answers.yml"
    replace(answers, str(snapshot), str(newer))
    commit(project)
    follow("Update later", project)
    status = git(project, "status", "--porcelain").splitlines()
    assert status == [f" M {name}" for name in (".copier-answers.yml", "Cargo.toml", "build.sh")]
    assert yaml.safe_load(answers.read_text())["_commit"] == "v9999.1.0"
    assert "# Constructs all" in (project / "build.sh").read_text()
    manifest = (project / "Cargo.toml").read_text()
    assert "codegen-units = 2" in manifest and f"src/{LEDGER}" in manifest


@pytest.mark.rust
def test_the_lock_is_the_templates_with_what_the_project_adds(adopted: Path, built: Path) -> None:
    before, after = (locked(folder) for folder in (adopted, built))
    before[HELLO] = after[HELLO]
    assert after == before | {name: after[name] for name in ("ic-stable-structures", LEDGER)}


def locked(project: Path) -> dict[str, set[str]]:
    """The versions in Cargo.lock of each crate."""
    versions: dict[str, set[str]] = {}
    for package in tomllib.loads((project / "Cargo.lock").read_text())["package"]:
        versions.setdefault(package["name"], set()).add(package["version"])
    return versions


@pytest.mark.rust
def test_both_canisters_answer_on_wasm64(modules: Path) -> None:
    hello, ledger = (
        Canister.install(modules / f"{name}.wasm", did=(OLD / f"src/{name}/{name}.did").read_text())
        for name in (HELLO, LEDGER)
    )
    assert hello.word_bits == ledger.word_bits == 64
    assert hello.call("whoami") == ANONYMOUS
    assert hello.call("greet", '("Ada")') == '("Hello, Ada!")'
    hello.call("speak", "(variant { German })")
    assert hello.call("greet", '("Ada")') == '("Hallo, Ada!")'
    assert "number = 1 : nat64" in hello.call("sign", '("Ada")')
    assert ledger.call("deposit", "(100 : nat64)") == "(100 : nat64)"
    assert ledger.call("transfer", f"({OTHER}, 30 : nat64)") == "(variant { Ok = 70 : nat64 })"
    assert "InsufficientFunds" in ledger.call("transfer", f"({OTHER}, 71 : nat64)")


@pytest.mark.rust
def test_state_survives_an_upgrade_that_saves_and_restores_it(modules: Path) -> None:
    hello = Canister.install(modules / f"{HELLO}.wasm")
    hello.call("speak", "(variant { French })")
    hello.call("sign", '("Ada")')
    visits = hello.call("visits")
    hello.upgrade()
    assert hello.call("visits") == visits
    assert hello.call("greet", '("Ada")') == '("Bonjour, Ada !")'


@pytest.mark.rust
def test_state_in_stable_memory_survives_the_upgrade_from_wasm32_to_wasm64(modules: Path) -> None:
    ledger = Canister.install(modules / "wasm32.wasm")
    assert ledger.word_bits == 32
    ledger.call("deposit", "(100 : nat64)")
    ledger.upgrade(modules / f"{LEDGER}.wasm")
    assert ledger.word_bits == 64
    assert ledger.call("balance_of", ANONYMOUS) == "(100 : nat64)"
    ledger.call("deposit", "(5 : nat64)")
    ledger.upgrade()
    assert ledger.call("total") == "(105 : nat64)"
