"""What Copier says after a copy and after an update."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from canister import Canister
from conftest import RELEASES, Generate, share_target
from projects import (
    LIB,
    NEWEST,
    NEXT,
    OPTIONAL,
    OTHER_ANSWERS,
    add,
    commit,
    conflicts,
    git,
    replace,
    run,
    update,
    write_code,
)
from workspace import cargo, nightly


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
        "bash build.sh my_app_backend",
        *(["npm install -g @icp-sdk/icp-cli @icp-sdk/ic-wasm"] if icp_cli else []),
        "icp network start --background" if icp_cli else "dfx start --background",
        f"{tool} deploy",
        f"{tool} canister call my_app_backend greet '(\"ICP\")'",
    ]
    run("\n".join(commands(said.split("is ready. Next:")[1])[:2]), tmp_path)
    assert git(tmp_path / "my app", "status", "--porcelain") == ""


def after_update(project: Path, version: str) -> list[str]:
    said = say(project, "update", "--defaults", f"--vcs-ref={version}")
    return commands(said.split("is updated, and nothing is committed yet.")[1])


def test_after_an_update_the_conflicts_are_named_where_there_are_any(start: Generate) -> None:
    project = start(NEWEST)
    add(project)
    replace(project / LIB, "//! Says hello,", "//! Says good day,")
    commit(project)
    look, find, *_ = after_update(project, NEXT)
    assert LIB in run(look, project)
    found = subprocess.run(shlex.split(find), cwd=project, text=True, capture_output=True, check=False).stdout
    assert {line.split(":")[0] for line in found.splitlines()} == conflicts(project) == {LIB}


def test_after_an_update_without_conflicts_none_is_named(start: Generate) -> None:
    project = start(NEWEST)
    add(project)
    commit(project)
    _look, find, _lock, save, _back = after_update(project, NEXT)
    assert run(find, project) == ""
    run(f"{save} --message Update", project)
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.rust
def test_the_lock_command_makes_a_locked_build_pass_and_the_canister_runs(start: Generate) -> None:
    project = start(NEWEST)
    share_target(project)
    write_code(project)
    lock = after_update(project, ":current:")[2]
    update(project, **OTHER_ANSWERS | {"pocket_ic": False})
    assert conflicts(project) == {"Cargo.lock"}
    git(project, "add", "Cargo.lock")
    run(lock, project)
    run(f"cargo test --locked && {lock} && bash build.sh hello_backend && bash build.sh second_backend", project)
    for name in ("hello_backend", "second_backend"):
        module = project / f"target/wasm64-unknown-unknown/release/{name}.wasm"
        assert Canister.install(module).call("profile", '("ICP")') == '(record { name = "ICP" })'


@pytest.mark.rust
@pytest.mark.parametrize("version", [f"v{version}" for version in RELEASES])
def test_the_lock_is_right_after_an_update_or_after_the_lock_command(start: Generate, version: str) -> None:
    project = start(version)
    write_code(project)
    lock = after_update(project, NEWEST)[2]
    mend(project, lock)
    for pocket_ic in (True, False):
        (project / OPTIONAL["pocket_ic"][0]).unlink(missing_ok=True)
        commit(project)
        update(project, pocket_ic=pocket_ic)
        mend(project, lock)
        assert ('name = "pocket-ic"' in (project / "Cargo.lock").read_text()) == pocket_ic


def mend(project: Path, lock: str) -> None:
    """Run the lock command if the lock is not right, and see that it then is."""
    locked = ["rustup", "run", nightly(), "cargo", "metadata", "--locked", "--format-version=1"]
    if subprocess.run(locked, cwd=project, capture_output=True, check=False).returncode:
        run(lock, project)
        cargo(*locked[4:], cwd=project)
