"""What tests do with projects: edit them as their owners do, update them, look at what the update did."""

import os
import re
import subprocess
from pathlib import Path

import copier
import yaml
from copier import VcsRef
from workspace import ROOT, TEMPLATE, cargo, nightly

QUESTIONS = {
    name: question
    for name, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items()
    if not name.startswith("_")
}

YES_NO = [name for name, question in QUESTIONS.items() if question["type"] == "bool"]
OPTIONAL = {
    "timers": ("src/hello_backend/src/timers.rs",),
    "icp_cli": ("icp.yaml", "wasm64.hbs"),
    "github_actions": (".github/workflows/ci.yml", ".github/workflows/template.yml"),
    "pocket_ic": ("src/hello_backend/tests/pocket_ic.rs",),
}
"""The files of an answer: an update does not delete them."""
OPTIONAL_FILES = [file for files in OPTIONAL.values() for file in files]
DELETED = [file for question, files in OPTIONAL.items() for file in files if QUESTIONS[question]["default"]]
"""Those of them that a project has unless its owner says no."""
LIB = "src/hello_backend/src/lib.rs"
MARKER = re.compile(rb"^(<<<<<<< before|>>>>>>> after) updating$", re.MULTILINE)
NEWEST, NEXT = "v9999.0.0", "v9999.1.0"
"""The work tree as a version of the template, and one after it."""
IC_CDK = re.search(r'^ic-cdk = "=(.+)"$', (TEMPLATE / "Cargo.toml.jinja").read_text(), re.MULTILINE)[1]
NEXT_VERSION = {
    "build.sh": ("# Builds all", "# Compiles all"),
    "rust-toolchain.toml": (nightly(), "nightly-2027-01-01"),
    ".gitignore": ("/target\n", "/wasm\n/target\n"),
    "Cargo.toml.jinja": (f'ic-cdk = "={IC_CDK}"', 'ic-cdk = "=0.99.0"'),
    "Cargo.lock.jinja": ('name = "ic0"\nversion = "', 'name = "ic0"\nversion = "9'),
    "README.md.jinja": ("## Deploy and call", "## Run"),
    "dfx.json.jinja": ('"type": "custom",\n', '"type": "custom",\n      "optimize": "cycles",\n'),
    "{% if icp_cli %}icp.yaml{% endif %}.jinja": ("# The canister", "# This canister"),
    "{% if icp_cli %}wasm64.hbs{% endif %}": ("{{! How", "{{! This is how"),
    "{% if github_actions %}.github{% endif %}/workflows/ci.yml.jinja": ("name: CI", "name: Checks"),
    "{% if github_actions %}.github{% endif %}/workflows/template.yml": ("name: Template\n", "name: Newer template\n"),
    "src/{{ canister_name }}/Cargo.toml.jinja": ("publish = false\n", 'publish = false\nlicense = "MIT"\n'),
    "src/{{ canister_name }}/{{ canister_name }}.did.jinja": (
        "{% if timers %}\n",
        "// For everyone.\n{% if timers %}\n",
    ),
    "src/{{ canister_name }}/src/lib.rs.jinja": ("fn did_file_is_up_to_date", "fn did_file_is_current"),
    "src/{{ canister_name }}/src/{% if timers %}timers.rs{% endif %}": ("//! Counts", "//! Tells"),
    "src/{{ canister_name }}/{% if pocket_ic %}tests{% endif %}/pocket_ic.rs.jinja": (
        "//! The canister",
        "//! Your canister",
    ),
}
"""What the template's next version says otherwise, in each of its files."""
BY_PROGRAMS = {"Cargo.lock", "src/hello_backend/hello_backend.did"}
"""What cargo and a test of the project write: an update leaves them alone."""
OTHER_ANSWERS = {"timers": False, "shrink": False, "gzip": False, "wasm_memory_limit": "5 GiB", "pocket_ic": True}
ENDPOINT = """\
#[ic_cdk::update]
fn {name}() -> String {{
    "{name}".into()
}}

"""
SECOND_CANISTER = """
    },
    "second_backend": {
      "candid": "src/second_backend/second_backend.did",
      "build": "bash build.sh second_backend",
      "type": "custom",
      "wasm": "target/wasm64-unknown-unknown/release/second_backend.wasm"
    }
  }
"""
SECOND_CANISTER_FOR_ICP = """\
  - name: second_backend
    build:
      steps:
        - type: script
          commands:
            - bash build.sh second_backend
"""
ADDED_TO_LOCK = """
[[package]]
name = "second_backend"
version = "0.1.0"
dependencies = [
 "candid",
 "ic-cdk",
]

[[package]]
name = "serde"
"""
ADDITIONS = [
    (LIB, "#[ic_cdk::query]\nfn greet", ENDPOINT.format(name="above") + "#[ic_cdk::query]\nfn greet"),
    (LIB, "\n#[cfg(test)]\nmod tests", "\n" + ENDPOINT.format(name="below") + "#[cfg(test)]\nmod tests"),
    ("src/hello_backend/hello_backend.did", "greet : (text)", "above : () -> (text);\n  greet : (text)"),
    # `cargo add serde`, and a second canister.
    ("src/hello_backend/Cargo.toml", "\n\n[dev-dep", '\nserde = "1.0.229"\n\n[dev-dep'),
    ("Cargo.lock", ' "ic-cdk-timers",\n]', ' "ic-cdk-timers",\n "serde",\n]'),
    ("Cargo.lock", '\n[[package]]\nname = "serde"\n', ADDED_TO_LOCK),
    ("Cargo.toml", '"src/hello_backend"', '"src/hello_backend", "src/second_backend"'),
    ("dfx.json", "\n    }\n  }\n", SECOND_CANISTER),
    ("icp.yaml", "", SECOND_CANISTER_FOR_ICP),
    # Other settings of dfx.
    ("dfx.json", '"version": 1,', '"version": 1,\n  "networks": { "local": { "bind": "127.0.0.1:8000" } },'),
    ("dfx.json", '"candid:service" }]', '"candid:service" }],\n      "init_arg": "()"'),
    (".gitignore", "", "/.env\n"),
    ("build.sh", "", 'ic-wasm "$wasm" info\n'),
    (".github/workflows/ci.yml", "", "      - run: bash deploy.sh\n"),
]
"""What owners add: the file, a text of the template's, and what it becomes; without a text it goes to the end."""
PROFILE = """\
#[derive(candid::CandidType, serde::Serialize)]
struct Profile {
    name: String,
}

#[ic_cdk::query]
fn profile(name: String) -> Profile {
    Profile { name }
}
"""
SECOND_CARGO_TOML = """\
[package]
name = "second_backend"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[dependencies]
candid.workspace = true
ic-cdk.workspace = true
serde = "1"
"""
GREETING = "Good day, {name}! Driven by {}"
RAISED_PIN = 'candid = "=0.10.99"'


def git(folder: Path, *args: str) -> str:
    """Run git in `folder` and return what it prints."""
    return subprocess.run(["git", *args], cwd=folder, check=True, text=True, stdout=subprocess.PIPE).stdout


def commit(folder: Path, tag: str | None = None) -> None:
    """Commit everything in `folder`, in a new repository if need be, and tag it."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", tag or "Work")
    if tag:
        git(folder, "tag", tag)


def check_answers(answers: dict[str, object]) -> None:
    """Fail for an answer that no question asks for; Copier itself would ignore it."""
    unknown = answers.keys() - QUESTIONS.keys()
    assert not unknown, f"no question asks for {sorted(unknown)}"


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text that stands once in a file; an empty one is its end."""
    text = path.read_text()
    assert not old or text.count(old) == 1, f"{old!r} in {path}"
    path.write_text(text.replace(old, new) if old else text + new)


def add(project: Path) -> None:
    """Add what owners add, everywhere, change what greet says, and raise a pin."""
    for name, old, new in ADDITIONS:
        replace(project / name, old, new)
    for name, pattern, new in (
        (LIB, r'(?<=format!\(").*(?=")', GREETING),
        ("Cargo.toml", r'^candid = ".*"$', RAISED_PIN),
    ):
        text, count = re.subn(pattern, new, (project / name).read_text(), count=1, flags=re.MULTILINE)
        assert count == 1, f"{pattern} in {name}"
        (project / name).write_text(text)
    (project / "src/second_backend/src").mkdir(parents=True)
    (project / "src/second_backend/src/lib.rs").write_text("ic_cdk::export_candid!();\n")


def has_additions(project: Path) -> None:
    """Fail unless each line that `add` wrote is there, and the second canister."""
    for name, old, new in ADDITIONS:
        text = (project / name).read_text()
        missing = [line for line in new.splitlines() if line not in old.splitlines() and line not in text]
        assert not missing, f"{name} has lost {missing}"
    assert RAISED_PIN in (project / "Cargo.toml").read_text()
    assert GREETING in (project / LIB).read_text()
    assert (project / "src/second_backend/src/lib.rs").read_text() == "ic_cdk::export_candid!();\n"


def change(project: Path) -> None:
    """Split lib.rs into modules, rewrite the README, delete the workflows and icp.yaml, change two files' modes."""
    lib = (project / LIB).read_text()
    start = lib.index("#[ic_cdk::query]\nfn greet")
    end = lib.index("\n}\n", start) + len("\n}\n\n")
    (project / LIB).with_name("greeting.rs").write_text(f"// My greeting.\n{lib[start:end]}")
    (project / LIB).write_text(f"{lib[:start]}mod greeting;\nuse greeting::greet;\n\n{lib[end:]}")
    (project / "README.md").write_text("# My canister\n\nEvery word of it is mine.\n")
    for name in DELETED:
        (project / name).unlink(missing_ok=True)  # An older version has fewer of them.
    (project / "build.sh").chmod(0o644)
    (project / "Cargo.toml").chmod(0o755)


def has_changes(project: Path) -> None:
    """Fail unless the project is as `change` made it, which is its last commit."""
    assert (
        (project / LIB).with_name("greeting.rs").read_text().startswith("// My greeting.\n#[ic_cdk::query]\nfn greet")
    )
    assert "mod greeting;\nuse greeting::greet;\n" in (project / LIB).read_text()
    readme = (project / "README.md").read_text()
    assert "# My canister\n" in readme and "Every word of it is mine.\n" in readme
    deleted = git(project, "show", "--format=", "--name-only", "--diff-filter=D").splitlines()
    assert "icp.yaml" in deleted and not [name for name in deleted if (project / name).exists()]
    assert not os.access(project / "build.sh", os.X_OK)
    assert os.access(project / "Cargo.toml", os.X_OK)


EDITS = {"additions": (add, has_additions), "changes": (change, has_changes)}
"""Kinds of edits: what makes them in a project, and what fails unless they are still there."""


def update(project: Path, version: str | VcsRef = VcsRef.CURRENT, **answers: str | bool) -> None:
    """`copier update --defaults --vcs-ref VERSION --data ...`."""
    check_answers(answers)
    copier.run_update(project, data=answers, vcs_ref=version, defaults=True, overwrite=True, quiet=True, unsafe=False)


def delete_files_of(project: Path, answers: dict[str, str | bool]) -> None:
    """Delete and commit the files that these answers give up, without which an update would refuse."""
    there = [project / name for question in OPTIONAL if answers.get(question) is False for name in OPTIONAL[question]]
    for path in there:
        path.unlink(missing_ok=True)
    commit(project)


def files(project: Path) -> dict[str, tuple[bool, bytes]]:
    """For each file that git does not ignore, by name: whether it can be executed, and its content."""
    names = git(project, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    paths = {name: project / name for name in names if (project / name).is_file()}
    return {name: (os.access(path, os.X_OK), path.read_bytes()) for name, path in paths.items()}


def conflicts(project: Path) -> set[str]:
    """The files with conflict markers; git has to know each of them as unmerged."""
    marked = {name for name, (_, content) in files(project).items() if MARKER.search(content)}
    assert set(git(project, "diff", "--name-only", "--diff-filter=U").splitlines()) == marked
    return marked


def merge(project: Path, old: Path, new: Path) -> dict[str, bytes | None]:
    """What git's own three-way merge makes of each file that all three have, by name; None is a conflict."""

    def merged(name: str) -> bytes | None:
        command = ["git", "merge-file", "-p", project / name, old / name, new / name]
        result = subprocess.run(command, capture_output=True, check=False)
        return None if result.returncode else result.stdout

    names = files(project).keys() & files(old).keys() & files(new).keys() - {".copier-answers.yml", *BY_PROGRAMS}
    return {name: merged(name) for name in names}


def write_code(project: Path) -> None:
    """Add code that compiles, as owners do: an endpoint with a type of its own, a crate, a second canister."""
    cargo("add", "--quiet", "--package=hello_backend", "serde@1", cwd=project)
    replace(project / LIB, "\n#[cfg(test)]\nmod tests", f"\n{PROFILE}\n#[cfg(test)]\nmod tests")
    second = project / "src/second_backend"
    (second / "src").mkdir(parents=True)
    (second / "Cargo.toml").write_text(SECOND_CARGO_TOML)
    (second / "second_backend.did").write_text("service : { profile : (text) -> (record { name : text }) query }\n")
    (second / "src/lib.rs").write_text(f"{PROFILE}\nic_cdk::export_candid!();\n")
    replace(project / "Cargo.toml", '"src/hello_backend"', '"src/hello_backend", "src/second_backend"')
    replace(project / "dfx.json", "\n    }\n  }\n", SECOND_CANISTER)
    cargo("metadata", "--format-version=1", cwd=project)
    commit(project)


def run(script: str, folder: Path, **environment: str) -> str:
    """Run a script in bash, in `folder`, and return what it prints. Fails where a command of it fails."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    result = subprocess.run(
        command, cwd=folder, env=os.environ | environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, f"{script}\n{result.stdout}{result.stderr}"
    return result.stdout
