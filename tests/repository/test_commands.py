"""The make targets: what maintainers get, and what the commands say if something is missing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts import demo, lock, outdated
from scripts.workspace import BUILD, ROOT

ANSWER = '("Hello, ICP! Powered by wasm64")'


def make(*args: str) -> subprocess.CompletedProcess[str]:
    """Run make without the variables that an outer `make test` sets."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", *args]
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)


def test_help_lists_every_target() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[:2] for line in make("help").stdout.splitlines()] == [["make", target] for target in targets]


def test_hello_ends_with_the_canisters_answer(build) -> None:
    done = make("hello", "NAME=made-by-a-test")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ANSWER
    shutil.rmtree(BUILD / "made-by-a-test")


@pytest.mark.parametrize("name", ["Hello", "../build"])
def test_hello_refuses_names_that_the_template_refuses(monkeypatch, name: str) -> None:
    monkeypatch.setenv("NAME", name)
    with pytest.raises(SystemExit, match=r"^NAME: Validation error for question 'project_name'"):
        demo.main()


@pytest.mark.rust
def test_lock_changes_nothing_while_no_pin_moves() -> None:
    names = lock.questions()
    assert lock.merge(names, lock.resolve_all(names)) == lock.LOCK.read_text()


def test_picture_ends_with_the_answer_and_loads_nothing() -> None:
    svg = ET.parse(ROOT / "docs/picture.svg")
    texts = [element for element in svg.iter() if element.text and element.text.strip()]
    assert texts[-1].text == ANSWER
    elements = {element.tag.rpartition("}")[2] for element in svg.iter()}
    assert elements <= {"svg", "g", "rect", "text"}


PINNED = {
    *("copier", "sphinx", "nightly", "ic-cdk", "ic-cdk-timers", "pocket-ic", "wasmparser"),
    *("actions/checkout", "actions/cache", "@icp-sdk/icp-cli", "@icp-sdk/ic-wasm-linux-x64"),
}
"""One or two pins of each kind of file that has pins."""


@pytest.mark.parametrize(("newest", "state"), [("0.0.0", "current"), ("9999.0.0", "behind"), (None, "unknown")])
def test_outdated_reports_the_state_of_each_pin(monkeypatch, capsys, newest: str | None, state: str) -> None:
    def answer(command: str) -> str:
        if newest is None:
            raise subprocess.CalledProcessError(1, command, stderr="could not connect")
        return f'({newest})\n{newest}\nrefs/tags/v{newest}\nversion: {newest}\ndate = "{newest.replace(".", "-")}"\n'

    monkeypatch.setattr(outdated, "output", answer)
    with pytest.raises(SystemExit) as ended:
        outdated.main()
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert {reported for reported, _ in lines} == {state}
    assert {name for _, name in lines} >= PINNED
    assert ended.value.code == (3 if newest is None else 0)
    assert outdated.numbers("0.20.10") > outdated.numbers("0.20.3")


@pytest.mark.parametrize(
    ("part", "missing", "advice"),
    [
        ("python", "python3", "Install Python 3.11 or newer"),
        ("python", "git", "Install git"),
        ("rust", "rustup", "Install rustup from https://rustup.rs"),
        ("rust", "cc", "Install a C linker"),
        ("npm", "npm", "Install Node.js 20 or newer"),
        ("rust", "network", "Check your network connection"),
        ("npm", "network", "Check your network connection"),
    ],
)
def test_setup_says_first_what_to_install(tmp_path: Path, part: str, missing: str, advice: str) -> None:
    for name in ("scripts/setup.sh", "scripts/npm/package-lock.json", "template/rust-toolchain.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cmp", "cp", "dirname", "git", "mkdir", "rm", "sed"):
        (programs / name).symlink_to(str(shutil.which(name)))
    (programs / "python3").symlink_to(sys.executable)
    for name, script in {"cc": "", "rustup": "exit 1", "npm": "exit 1", "uname": "echo Linux x86_64"}.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
        (programs / name).chmod(0o755)
    (programs / missing).unlink(missing_ok=True)
    command = ["bash", "scripts/setup.sh", part]
    environment = {"PATH": str(programs)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(advice)
    assert done.stderr.count("\n") == 1
