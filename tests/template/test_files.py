"""The generated files: each answer changes only its own, and their programs can read them."""

import json
import os
import re
import shlex
import string
import tomllib
from itertools import zip_longest
from pathlib import Path

import pytest
import yaml

from scripts.workspace import TEMPLATE
from tests.cases import CASES
from tests.conftest import Project
from tests.support.git import git
from tests.support.pages import code, fact
from tests.support.projects import DEFAULTS, OPTIONAL, YES_NO, Answers

BASE: Answers = {"canister_name": "hello_backend", **dict.fromkeys(YES_NO, True)}
"""The other answers while the tests try one question: docs/reference/questions.md lists the changed files for them."""
ACCEPTED = [
    {name: answer for name, answer in zip(CASES, answers, strict=True) if answer is not None}
    for answers in zip_longest(*(case.accepted for case in CASES.values()))
]
"""Sets of answers that are just accepted."""
LIMITS = {"0001048576 B": 2**20, "1 TB": 10**12, "256 TiB": 2**48}
"""Memory limits in units that dfx or icp-cli does not know, and their bytes."""
PARSERS = dict.fromkeys([".toml", ".lock"], tomllib.loads) | dict.fromkeys([".yml", ".yaml"], yaml.safe_load)
PARSERS[".json"] = json.loads


def texts(project: Path, canister_name: str = "hello_backend") -> dict[str, str]:
    """Return the text of each file, by name with `hello_backend` for the canister's name. Skip the answers file."""
    paths = [path for path in project.rglob("*") if path.is_file() and path.name != ".copier-answers.yml"]
    names = [path.relative_to(project).as_posix().replace(canister_name, "hello_backend") for path in paths]
    return {name: path.read_text() for name, path in zip(names, paths, strict=True)}


def parsed(project: Path) -> dict[str, dict]:
    """Return the parsed content of each file that has a parser, by name."""
    files = {name: text for name, text in texts(project).items() if Path(name).suffix in PARSERS}
    return {name: PARSERS[Path(name).suffix](text) for name, text in files.items()}


def check_files(project: Path) -> None:
    """Fail if a file has unneeded blanks, or cannot be parsed."""
    for name, text in texts(project).items():
        assert text == "\n".join(map(str.rstrip, text.split("\n"))).strip("\n") + "\n", name
        assert "\n\n\n" not in text, name
    assert all(parsed(project).values())


@pytest.mark.parametrize("answers", [{}, dict.fromkeys(YES_NO, False)], ids=["default", "no"])
def test_each_file_is_tidy_and_its_program_can_read_it(rendered: Project, answers: Answers) -> None:
    check_files(rendered(**answers))
    assert os.access(rendered(**answers) / "build.sh", os.X_OK)


@pytest.mark.parametrize("question", CASES)
def test_an_answer_changes_its_files_and_no_others(rendered: Project, question: str) -> None:
    other = CASES[question].other
    name = other if question == "canister_name" else "hello_backend"
    default = {question: DEFAULTS[question]} if question in YES_NO else {}
    before = texts(rendered(**BASE | default))
    after = texts(rendered(**BASE | {question: other}), str(name))
    changed = {file for file in before.keys() | after.keys() if before.get(file) != after.get(file)}
    listed = {file for file in code(fact(question, "Changes")) if "." in file}
    assert changed == listed, f"Write {sorted(changed)} below {question} in docs/reference/questions.md."
    if question != "canister_name":
        check_files(rendered(**BASE | {question: other}))
    only = before.keys() ^ after.keys()
    assert only == set(OPTIONAL.get(question, [])), f"Write {sorted(only)} below {question} in includes/files.jinja."


@pytest.mark.parametrize("answers", ACCEPTED)
def test_an_accepted_answer_reaches_its_files(rendered: Project, answers: dict[str, str]) -> None:
    project = rendered(**answers)
    files = parsed(project)
    name, limit = answers.get("canister_name", "hello_backend"), answers.get("wasm_memory_limit", "6 GiB")
    assert answers.items() <= yaml.safe_load((project / ".copier-answers.yml").read_text()).items()
    assert (project / "README.md").read_text().startswith(f"# {answers.get('project_name', 'hello')}\n")
    assert files["Cargo.toml"]["workspace"]["members"] == [f"src/{name}"]
    assert files[f"src/{name}/Cargo.toml"]["package"]["name"] == name
    assert name in {package["name"] for package in files["Cargo.lock"]["package"]}

    written = limit if re.fullmatch("[0-9]+ *[KkMmGg]i?[Bb]", limit) else int(LIMITS.get(limit, limit))
    (icp,) = files["icp.yaml"]["canisters"]
    assert (icp["name"], icp["recipe"]["configuration"]["package"]) == (name, name)
    assert icp["settings"] == {"wasm_memory_limit": written}
    dfx = files["dfx.json"]["canisters"]
    command = ["dfx", "canister", "update-settings", name, "--wasm-memory-limit", str(written)]
    assert {name: shlex.split(canister["post_install"]) for name, canister in dfx.items()} == {name: command}


def test_dfx_json_has_each_setting_for_wasm64(rendered: Project) -> None:
    assert parsed(rendered())["dfx.json"]["canisters"] == {
        "hello_backend": {
            "candid": "src/hello_backend/hello_backend.did",
            "build": "bash build.sh hello_backend",
            "type": "custom",
            "post_install": "dfx canister update-settings hello_backend --wasm-memory-limit '6 GiB'",
            "shrink": True,
            "gzip": True,
            "wasm": "target/wasm64-unknown-unknown/release/hello_backend.wasm",
            "metadata": [{"name": "candid:service"}],
        }
    }


def test_icp_yaml_has_three_lines_for_the_canister(rendered: Project) -> None:
    assert len(re.findall(r"^[^#\n]+$", texts(rendered())["icp.yaml"], re.MULTILINE)) == 1 + 3


def test_versions_are_pinned_once_and_as_in_the_lock(rendered: Project) -> None:
    project = rendered(**BASE)
    files = parsed(project)
    locked = {package["name"]: package["version"] for package in files["Cargo.lock"]["package"]}
    canister = files["src/hello_backend/Cargo.toml"]
    own = {name: crate for kind in ("dependencies", "dev-dependencies") for name, crate in canister[kind].items()}
    pins = files["Cargo.toml"]["workspace"]["dependencies"] | {
        name: crate["version"] for name, crate in own.items() if "version" in crate
    }
    assert pins == {name: f"={locked[name]}" for name in own}
    written = [text for name, text in texts(project).items() if name != "Cargo.lock"]
    nightly = files["rust-toolchain.toml"]["toolchain"]["channel"].removeprefix("nightly-")
    for pin in (*(f'"{version}"' for version in pins.values()), nightly):
        assert sum(text.count(pin) for text in written) == 1, pin


def test_a_first_build_compiles_few_crates(rendered: Project) -> None:
    assert len(parsed(rendered())["Cargo.lock"]["package"]) <= 85


def test_git_ignores_only_what_programs_make_anew(committed: Project) -> None:
    made = ["target/release", ".dfx/local", ".icp/cache/artifacts"]
    kept = [".icp/data/mappings.json", "src/target.rs", "Cargo.lock", ".cargo/config.toml"]
    ignored = git(committed(), "check-ignore", "--no-index", *made, *kept).splitlines()
    assert ignored == made


def test_each_file_of_the_template_can_exist_on_windows() -> None:
    for path in TEMPLATE.rglob("*"):
        assert not set(path.name) & set('<>:"\\|?*') and path.name[-1] not in " .", path
        assert path.name.isprintable() and set(path.name) <= set(string.printable), path
