"""The questions at a terminal."""

import os
import re
import sys
from pathlib import Path

import pexpect
from conftest import QUESTIONS, commit, copy


def copier(folder: Path, *args: str) -> pexpect.spawn:
    """Copier's command line in a terminal wide enough for each question."""
    environment = os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1"}  # pexpect does not tell where its cursor is.
    return pexpect.spawn(
        sys.executable,
        ["-m", "copier", *args],
        cwd=folder,
        env=environment,
        encoding="utf-8",
        dimensions=(60, 160),
        timeout=30,
    )


def first_words(question: str) -> str:
    return QUESTIONS[question]["help"].split("?")[0]


def see(terminal: pexpect.spawn, text: str) -> None:
    """Wait for `text`. A terminal is not sent the blanks that it already shows, but told to step over them."""
    terminal.expect(re.escape(text).replace(r"\ ", r"(?: |\x1b\[C)"))


def clear(terminal: pexpect.spawn) -> None:
    terminal.send("\x7f" * 20)


def test_every_question_can_be_answered_and_a_wrong_answer_mended(snapshot: Path, tmp_path: Path) -> None:
    terminal = copier(tmp_path, "copy", str(snapshot), "my-app")
    see(terminal, first_words("project_name"))
    see(terminal, "my-app")
    terminal.send("\r")
    see(terminal, first_words("canister_name"))
    see(terminal, "my_app_backend")
    clear(terminal)
    terminal.send("match\r")
    see(terminal, '"match" is a Rust keyword.')
    clear(terminal)
    terminal.send("greeter\r")
    for question in ("timers", "shrink", "gzip"):
        see(terminal, first_words(question))
        terminal.send("n")
    see(terminal, first_words("wasm_memory_limit"))
    clear(terminal)
    terminal.send("5 GiB\r")
    for question in ("icp_cli", "github_actions"):
        see(terminal, first_words(question))
        terminal.send("n")
    see(terminal, "bash build.sh greeter")
    terminal.expect(pexpect.EOF)
    answers = {"project_name": "my-app", "canister_name": "greeter", "wasm_memory_limit": "5 GiB"}
    answers |= dict.fromkeys(("timers", "shrink", "gzip", "icp_cli", "github_actions"), False)
    copy(snapshot, tmp_path / "data", **answers)
    names = {path.relative_to(tmp_path / "data") for path in (tmp_path / "data").rglob("*") if path.is_file()}
    for name in names - {Path(".copier-answers.yml")}:
        assert (tmp_path / "my-app" / name).read_bytes() == (tmp_path / "data" / name).read_bytes()


def test_an_update_asks_what_can_be_changed_and_no_names(snapshot: Path, tmp_path: Path) -> None:
    project = copy(snapshot, tmp_path / "hello", canister_name="greeter")
    commit(project)
    terminal = copier(project, "update", "--vcs-ref=:current:")
    see(terminal, first_words("timers"))
    assert first_words("project_name") not in terminal.before
    assert first_words("canister_name") not in terminal.before
    terminal.send("n")
    for question in ("shrink", "gzip", "wasm_memory_limit"):
        see(terminal, first_words(question))
        terminal.send("\r")
    terminal.expect(pexpect.EOF)
    # To say no would delete their files.
    assert first_words("icp_cli") not in terminal.before
    assert first_words("github_actions") not in terminal.before
    assert "ticks" not in (project / "src/greeter/src/lib.rs").read_text()
