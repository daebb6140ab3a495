"""docs/tutorial.md, followed: its commands and edits as they stand, and the answers that it shows."""

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from canister import Canister
from conftest import share_target
from documents import DOCS, Block, blocks, edit
from projects import commit, files, git, run

TUTORIAL = DOCS / "tutorial.md"
DID = "src/hello_backend/hello_backend.did"
ARTIFACT = ".icp/cache/artifacts/hello_backend"
PATH = f"{Path(sys.executable).parent}{os.pathsep}"
"""Where Copier is."""


class Reader:
    """Who follows the tutorial, with a canister of `tools/canister.py` in the place of a local network."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder, self.template = folder, template
        self.canister: Canister | None = None
        self.printed = ""

    def read(self, block: Block) -> None:
        """Do what a block says, or compare what it shows with what the last command printed."""
        if block.is_shell:
            for command in block.commands():
                self.do(command)
        elif not edit(block, self.folder):
            missing = set(block.text.splitlines()) - set(self.printed.splitlines())
            assert not missing, self.printed

    def do(self, command: str) -> None:
        match shlex.split(command):
            case ["cd", folder]:
                self.folder /= folder
                share_target(self.folder)
            case ["icp", "network", *_] | ["rustup", "toolchain", "install"]:
                pass  # What cannot be done here, and what setup.sh has done.
            case ["icp", "deploy"]:
                self.run("icp build")
                if self.canister is None:
                    self.canister = Canister.install(self.folder / ARTIFACT, wasm_memory_limit="6 GiB")
                else:
                    self.canister.upgrade(self.folder / ARTIFACT)
            case ["icp", "canister", "call", "--query", "hello_backend", method, arguments]:
                self.printed = self.canister.call(method, arguments)
            case ["sleep", seconds]:
                self.canister.advance(int(seconds))
            case _:
                self.run(command)

    def run(self, command: str) -> None:
        command = re.sub(r"\bTEMPLATE\b", shlex.quote(str(self.template)), command)
        self.printed = run(command, self.folder, PATH=PATH + os.environ["PATH"])


@pytest.fixture(scope="module")
def reader(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Who has followed the tutorial to its end, from what stands below the installation."""
    reader = Reader(tmp_path_factory.mktemp("tutorial"), snapshot)
    for block in blocks(TUTORIAL):
        if block.heading != "Install the tools":
            reader.read(block)
    return reader


@pytest.mark.rust
def test_the_tutorial_can_be_followed_to_its_end(reader: Reader) -> None:
    assert git(reader.folder, "status", "--porcelain") == ""
    assert len(git(reader.folder, "log", "--oneline").splitlines()) == 3
    assert reader.canister.call("farewell", '("you")') == '("Goodbye, you!")'


@pytest.mark.rust
def test_the_tutorials_project_is_a_fresh_one_but_for_its_endpoint(
    reader: Reader, snapshot: Path, tmp_path: Path
) -> None:
    run(f"copier copy --quiet --defaults {shlex.quote(str(snapshot))} hello", tmp_path, PATH=PATH + os.environ["PATH"])
    commit(tmp_path / "hello")
    fresh, ours = files(tmp_path / "hello"), files(reader.folder)
    (added,) = [block.text for block in blocks(TUTORIAL, "Add an endpoint")]
    assert "  farewell : (text) -> (text) query;\n" in ours.pop(DID)[1].decode()
    del fresh[DID]
    for name, (_, content) in fresh.items():
        text = ours[name][1].decode()
        text = text.replace(added, "")
        assert text == content.decode(), name


def test_dfx_has_a_command_beside_each_of_icp() -> None:
    text = TUTORIAL.read_text()
    done = {line for block in blocks(TUTORIAL) for line in block.commands() if line.startswith("icp ")}
    for command in done:
        assert f"`{command.replace('icp network', 'dfx').replace('icp', 'dfx').replace(' --query', '')}`" in text, (
            command
        )
