"""The messages after a copy and after an update: their commands work."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.workspace import nightly
from tests.conftest import Project
from tests.support.git import commit, git
from tests.support.projects import copier_command, run
from tests.support.updates import NEXT

Said = pytest.CaptureFixture[str]


def commands(message: str) -> list[str]:
    """Return the indented lines of a text, without comments."""
    return [line.split("  #")[0].strip() for line in message.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize(("icp_cli", "tool"), [("yes", "icp"), ("no", "dfx")])
def test_a_copy_says_the_next_commands(template: Path, tmp_path: Path, capsys: Said, icp_cli: str, tool: str) -> None:
    (tmp_path / "it's $HOME {{ x }} 🦀").mkdir()
    project = tmp_path / "it's $HOME {{ x }} 🦀/my app"
    answers = ["--defaults", f"--data=icp_cli={icp_cli}", "--data=timer=no", "--data=gzip=no"]
    copier_command("copy", *answers, template, project)
    said = capsys.readouterr().err
    assert re.findall(r'Copier ignored "(\w+)": there is no such question. Check', said) == ["timer"]
    message = said.split("my-app is ready. Next:")[1]
    assert not [line for line in message.splitlines() if len(line) > 80 and str(tmp_path) not in line]
    change_folder, *others = commands(message)
    assert run(f"{change_folder} && pwd", tmp_path) == f"{project}\n"
    call = f"{tool} canister call {'--query ' if tool == 'icp' else ''}my_app_backend greet '(\"ICP\")'"
    assert others == [
        'git init && git add . && git commit -m "First commit"',
        "rustup toolchain install",
        "bash build.sh",
        *(["npm install -g @icp-sdk/icp-cli @icp-sdk/ic-wasm"] if tool == "icp" else []),
        "icp network start --background" if tool == "icp" else "dfx start --background",
        f"{tool} deploy",
        call,
    ]
    run(others[0], project)
    assert git(project, "status", "--porcelain") == ""
    assert call in commands((project / "README.md").read_text())


def test_an_update_says_how_to_see_undo_and_save_it(committed: Project, tmp_path: Path, capsys: Said) -> None:
    """The project is in a folder of a larger repository. The command that undoes the update changes no other folder."""
    project = shutil.copytree(committed(), tmp_path / "canisters/hello", ignore=shutil.ignore_patterns(".git"))
    (project / "README.md").write_text("# mine\n")
    (tmp_path / "notes.md").write_text("All my projects.\n")
    commit(tmp_path)
    (tmp_path / "notes.md").write_text("All my projects, not committed.\n")

    copier_command("update", "--defaults", f"--vcs-ref={NEXT}", "--data=timer=no", "--data=gzip=no", project)
    said = capsys.readouterr().err
    assert re.findall(r'Copier ignored "(\w+)": there is no such question. Check', said) == ["timer"]
    message = said.split("hello is updated, and nothing is committed yet.")[1]
    assert not [line for line in message.splitlines() if len(line) > 80]
    look, find, build, save, undo = commands(message)
    assert "modified:   build.sh" in run(look, project)
    found = subprocess.run(shlex.split(find), cwd=project, text=True, capture_output=True, check=False).stdout
    assert {line.split(":")[0] for line in found.splitlines()} == {"canisters/hello/README.md"}
    assert build == "UPDATE_EXPECT=1 cargo test && bash build.sh"
    assert nightly() not in (project / "rust-toolchain.toml").read_text()

    saved = shutil.copytree(tmp_path, tmp_path.with_name("saved")) / "canisters/hello"
    (saved / "README.md").write_text("# mine\n")
    run(f"{save} --message Update", saved)
    assert run(f"{find} HEAD~1", saved) == git(saved, "status", "--porcelain", ".") == ""

    (project / "new.txt").touch()
    run(undo.replace("clean -d -i", "clean -d --force"), project)
    assert git(tmp_path, "status", "--porcelain") == " M notes.md\n"
