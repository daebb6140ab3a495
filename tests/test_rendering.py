"""The generated project: each file is there when it is asked for, can be read by its tool, and says what it should."""

import itertools
import json
import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import FILES, Generate
from projects import LIB, OPTIONAL, OPTIONAL_FILES, YES_NO

CHOICES = [
    dict(zip(("timers", "shrink", "gzip"), values, strict=True))
    for values in itertools.product([True, False], repeat=3)
]
ALWAYS = FILES - set(OPTIONAL_FILES)
TIMERS = "src/hello_backend/src/timers.rs"


def files(project: Path) -> set[str]:
    return {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}


def parsed(project: Path) -> int:
    """How many configuration files have been parsed, each by a parser of its format."""
    parsers = {
        ".toml": tomllib.loads,
        ".lock": tomllib.loads,
        ".json": json.loads,
        ".yml": yaml.safe_load,
        ".yaml": yaml.safe_load,
    }
    return sum(bool(parsers[path.suffix](path.read_text())) for path in project.rglob("*") if path.suffix in parsers)


def dfx_canister(project: Path) -> dict[str, object]:
    return json.loads((project / "dfx.json").read_text())["canisters"]["hello_backend"]


def test_dfx_json_is_what_the_ic_needs_for_wasm64(generate: Generate) -> None:
    assert dfx_canister(generate()) == {
        "candid": "src/hello_backend/hello_backend.did",
        "build": "bash build.sh hello_backend",
        "type": "custom",
        "shrink": True,
        "gzip": True,
        "wasm": "target/wasm64-unknown-unknown/release/hello_backend.wasm",
        "post_install": "dfx canister update-settings hello_backend --wasm-memory-limit '6 GiB'",
        "metadata": [{"name": "candid:service"}],
    }


@pytest.mark.parametrize("answers", CHOICES, ids=str)
def test_each_choice_reaches_the_files_that_it_concerns_and_no_other(
    generate: Generate, project: Generate, answers: dict[str, bool]
) -> None:
    default, project = project(), generate(**answers)
    assert parsed(project) == 9
    assert FILES - files(project) == (set() if answers["timers"] else {TIMERS})
    changed = {name for name in files(project) if (project / name).read_bytes() != (default / name).read_bytes()}
    expected = set()
    if not answers["timers"]:
        expected |= {"Cargo.lock", *(name for name in FILES if name.startswith("src/")), LIB} - {TIMERS}
    if not (answers["shrink"] and answers["gzip"]):
        expected |= {"dfx.json", "icp.yaml"}
    assert changed - {".copier-answers.yml"} == expected

    canister = dfx_canister(project)
    assert (canister["shrink"], canister["gzip"]) == (answers["shrink"], answers["gzip"])
    (icp,) = yaml.safe_load((project / "icp.yaml").read_text())["canisters"]
    configuration = icp["recipe"]["configuration"]
    assert (configuration["shrink"], configuration["compress"]) == (answers["shrink"], answers["gzip"])
    for name in ("Cargo.lock", "src/hello_backend/Cargo.toml", "src/hello_backend/src/lib.rs"):
        text = (project / name).read_text()
        assert ("timers" in text) == answers["timers"], name
    assert ("ticks" in (project / "src/hello_backend/hello_backend.did").read_text()) == answers["timers"]


@pytest.mark.parametrize("answers", list(itertools.product([True, False], repeat=len(OPTIONAL))), ids=str)
def test_a_file_for_a_tool_is_there_when_the_tool_is_used(generate: Generate, answers: tuple[bool, ...]) -> None:
    used = dict(zip(OPTIONAL, answers, strict=True))
    project = generate(**used)
    assert files(project) == ALWAYS.union(*(OPTIONAL[question] for question, answer in used.items() if answer))
    readme = (project / "README.md").read_text()
    assert ("icp deploy" in readme, "PocketIC" in readme) == (used["icp_cli"], used["pocket_ic"])
    for name in ("Cargo.lock", "src/hello_backend/Cargo.toml"):
        assert ("pocket-ic" in (project / name).read_text()) == used["pocket_ic"], name


def test_no_file_ends_in_a_blank_line_or_has_trailing_blanks(generate: Generate) -> None:
    for answers in ({}, dict.fromkeys(YES_NO, True), dict.fromkeys(YES_NO, False)):
        project = generate(**answers)
        for name in files(project) - {".copier-answers.yml"}:
            text = (project / name).read_text()
            assert text == "\n".join(map(str.rstrip, text.split("\n"))).strip("\n") + "\n", name
            assert "\n\n\n" not in text, name


def test_build_sh_can_be_executed(generate: Generate) -> None:
    assert os.access(generate() / "build.sh", os.X_OK)


@pytest.mark.parametrize(
    ("limit", "written"),
    [
        ("0", 0),
        ("0 YiB", 0),
        ("007000000", 7_000_000),
        ("7000000 B", 7_000_000),
        ("5000 kB", "5000 kB"),
        ("5000KiB", "5000KiB"),
        ("512 mb", "512 mb"),
        ("6 GiB", "6 GiB"),
        ("1 TB", 10**12),
        ("256 TiB", 2**48),
    ],
)
def test_dfx_and_icp_cli_get_the_limit_in_a_form_that_both_take(
    generate: Generate, limit: str, written: int | str
) -> None:
    project = generate(wasm_memory_limit=limit)
    (canister,) = yaml.safe_load((project / "icp.yaml").read_text())["canisters"]
    assert canister["settings"] == {"wasm_memory_limit": written}
    command = ["dfx", "canister", "update-settings", "hello_backend", "--wasm-memory-limit", str(written)]
    assert shlex.split(dfx_canister(project)["post_install"]) == command


@pytest.mark.parametrize("name", ["a", "z" * 64, "h_2__"])
def test_dfx_sets_the_limit_of_the_canister_by_its_name(generate: Generate, name: str) -> None:
    canister = json.loads((generate(canister_name=name) / "dfx.json").read_text())["canisters"][name]
    assert f" {name} " in canister["post_install"]
    assert shlex.quote(name) == name


def test_icp_yaml_has_three_lines_for_the_canister(generate: Generate) -> None:
    text = (generate() / "icp.yaml").read_text()
    assert len(re.findall(r"^[^#\n]+$", text, re.MULTILINE)) == 1 + 3
    assert yaml.safe_load(text)["canisters"] == [
        {
            "name": "hello_backend",
            "settings": {"wasm_memory_limit": "6 GiB"},
            "recipe": {
                "type": "file://wasm64.hbs",
                "configuration": {
                    "package": "hello_backend",
                    "candid": "src/hello_backend/hello_backend.did",
                    "shrink": True,
                    "compress": True,
                },
            },
        }
    ]


def test_git_leaves_out_what_the_tools_write(generate: Generate) -> None:
    assert (generate() / ".gitignore").read_text().split() == ["/target", "/.dfx", "/.icp/cache"]


def test_versions_and_the_nightly_are_written_once(generate: Generate) -> None:
    project = generate()
    shared = tomllib.loads((project / "Cargo.toml").read_text())["workspace"]["dependencies"]
    canister = tomllib.loads((project / "src/hello_backend/Cargo.toml").read_text())["dependencies"]
    pins = shared | {"ic-cdk-timers": canister["ic-cdk-timers"]["version"]}
    nightly = tomllib.loads((project / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    locked = {
        package["name"]: package["version"]
        for package in tomllib.loads((project / "Cargo.lock").read_text())["package"]
    }
    assert pins == {name: f"={locked[name]}" for name in ("candid", "expect-test", "ic-cdk", "ic-cdk-timers")}
    everything = [(project / name).read_text() for name in files(project) - {"Cargo.lock"}]
    for pin in (*(f'"{version}"' for version in pins.values()), nightly.removeprefix("nightly-")):
        assert sum(text.count(pin) for text in everything) == 1, pin


def test_the_lock_stays_small(generate: Generate) -> None:
    """So that the first `cargo test` does not take minutes."""
    assert len(tomllib.loads((generate() / "Cargo.lock").read_text())["package"]) <= 85
