"""The make targets work, and name the program to install if one is missing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import demo, lock
from scripts.workspace import BUILD, ROOT
from tests.support.projects import run

ANSWER = '("Hello, ICP! Powered by wasm64")'


def test_hello_ends_with_the_canisters_answer(build) -> None:
    printed = run("env -u MAKEFLAGS make --no-print-directory hello NAME=made-by-a-test", ROOT)
    assert printed.splitlines()[-1] == ANSWER
    assert f">{ANSWER}</text>" in (ROOT / "docs/picture.svg").read_text()
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
