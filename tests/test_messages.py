"""What Copier says after a copy and after an update."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Generate, copy
from projects import (
    LIB,
    NEWEST,
    NEXT,
    add,
    commit,
    conflicts,
    git,
    replace,
    run,
)


def say(folder: Path, *args: str) -> str:
    """What `copier ARGS` prints, in a folder."""
    command = [sys.executable, "-m", "copier", *args]
    result = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stderr


def commands(message: str) -> list[str]:
    """The indented lines of a message, without comments."""
    return [line.split("  #")[0].strip() for line in message.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize(("icp_cli", "tool"), [(True, "icp"), (False, "dfx")])
def test_after_a_copy_the_next_commands_are_those_for_the_chosen_answers(
    snapshot: Path, tmp_path: Path, icp_cli: bool, tool: str
) -> None:
    said = say(tmp_path, "copy", "--defaults", f"--data=icp_cli={icp_cli}", str(snapshot), "my app")
    assert commands(said.split("is ready. Next:")[1]) == [
        "cd 'my app'",
        'git init && git add . && git commit -m "First commit"',
        "rustup toolchain install",
        "bash build.sh",
        *(["npm install -g @icp-sdk/icp-cli @icp-sdk/ic-wasm"] if icp_cli else []),
        "icp network start --background" if icp_cli else "dfx start --background",
        f"{tool} deploy",
        f"{tool} canister call {'--query ' * icp_cli}my_app_backend greet '(\"ICP\")'",
    ]
    run("\n".join(commands(said.split("is ready. Next:")[1])[:2]), tmp_path)
    assert git(tmp_path / "my app", "status", "--porcelain") == ""


def after_update(project: Path, version: str) -> list[str]:
    said = say(project, "update", "--defaults", f"--vcs-ref={version}")
    return commands(said.split("is updated, and nothing is committed yet.")[1])


def test_after_an_update_the_conflicts_are_named_where_there_are_any(start: Generate) -> None:
    project = start(NEWEST)
    add(project)
    replace(project / LIB, "fn did_file_is_up_to_date", "fn says_good_day")
    commit(project)
    look, find, *_ = after_update(project, NEXT)
    assert LIB in run(look, project)
    found = subprocess.run(shlex.split(find), cwd=project, text=True, capture_output=True, check=False).stdout
    assert {line.split(":")[0] for line in found.splitlines()} == conflicts(project) == {LIB}


def test_after_an_update_without_conflicts_none_is_named(start: Generate) -> None:
    project = start(NEWEST)
    add(project)
    commit(project)
    _look, find, _build, save, _back = after_update(project, NEXT)
    assert run(find, project) == ""
    run(f"{save} --message Update", project)
    assert git(project, "status", "--porcelain") == ""


def test_no_line_of_a_message_is_wider_than_80_columns(snapshot: Path, start: Generate, tmp_path: Path) -> None:
    said = say(tmp_path, "copy", "--defaults", str(snapshot), "my_app").split("is ready. Next:")[1]
    said += say(start(NEWEST), "update", "--defaults", f"--vcs-ref={NEXT}").split("is updated")[1]
    assert "git restore" in said
    assert [line for line in said.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("command", ["copy", "update"])
def test_a_question_that_does_not_exist_is_named(snapshot: Path, start: Generate, tmp_path: Path, command: str) -> None:
    data = ["--defaults", "--data=timer=no", "--data=gzip=no", "--data=wasm_memory=1"]
    if command == "copy":
        said = say(tmp_path, "copy", *data, str(snapshot), "hello")
    else:
        said = say(start(NEWEST), "update", "--vcs-ref=:current:", *data)
    assert re.findall(r'There is no question "(\w+)", so nothing changed by it', said) == ["timer", "wasm_memory"]


def test_a_question_that_exists_is_not_named(start: Generate) -> None:
    assert "There is no question" not in say(start(NEWEST), "update", "--defaults", "--data=gzip=no")


REFUSALS = {
    "canister_name=match": 'Try "match_app": ',
    "canister_name=Hello": "Use a-z, 0-9 and _, a letter f",
    "canister_name=no": 'Try "no_app": ',
    "canister_name=serde": 'Try "serde_app": ',
    "wasm_memory_limit=much": "Write a size such as 6 GiB",
    "wasm_memory_limit=1": "Write 0 for no limit, or more",
    "gzip=flase": "Write yes or no.",
}
"""Answers that are refused, and what the first 30 letters of the refusal advise: more is cut off at 80 columns."""


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_refusal_begins_with_what_to_do(template: Path, tmp_path: Path, answer: str) -> None:
    with pytest.raises(ValueError) as refusal:
        copy(template, tmp_path / "hello", **dict([answer.split("=")]))
    (said,) = re.findall(r"Validation error for question '\w+': (.{16,30})", str(refusal.value))
    assert said.startswith(REFUSALS[answer])
