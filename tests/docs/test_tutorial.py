"""docs/tutorial.md, followed from the first project to the last command."""

import shlex
from pathlib import Path

from runtime import Canister
from tests.conftest import Project
from tests.support.builds import optimize_less, share_target
from tests.support.git import git
from tests.support.pages import DOCS, Block, blocks, edit
from tests.support.projects import DID, LIB, run
from tests.support.updates import NEWEST, files

TUTORIAL = DOCS / "tutorial.md"
MODULE = ".icp/cache/artifacts/hello_backend"


class Reader:
    """A reader of the tutorial, with a canister of `runtime` in place of a local network."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder, self.repository = folder, repository
        self.canister: Canister | None = None
        self.printed = ""

    def follow(self, block: Block) -> None:
        """Run the commands of a block, or make its edit, or compare its text with what the last command printed."""
        if block.is_shell:
            for command in block.commands():
                self.do(command)
        elif not edit(block, self.folder):
            assert set(block.text.splitlines()) <= set(self.printed.splitlines()), self.printed

    def do(self, command: str) -> None:
        """Run a command, or do what stands for it without a network."""
        match shlex.split(command):
            case ["cd", folder]:
                self.folder /= folder
                optimize_less(self.folder, "hello_backend")
                share_target(self.folder)
            case ["icp", "network", *_] | ["rustup", "toolchain", "install"]:
                pass  # No network can start here, and setup.sh has installed the toolchain.
            case ["icp", "deploy"]:
                run("icp build", self.folder)
                if self.canister:
                    self.canister.upgrade(self.folder / MODULE)
                else:
                    self.canister = Canister.install(self.folder / MODULE, wasm_memory_limit="6 GiB")
            case ["icp", "canister", "call", "--query", "hello_backend", method, arguments] if self.canister:
                self.printed = str(self.canister.call(method, arguments))
            case ["sleep", seconds] if self.canister:
                self.canister.advance(int(seconds))
            case _:
                template = f"--vcs-ref={NEWEST} {shlex.quote(str(self.repository))}"
                self.printed = run(command.replace("TEMPLATE", template), self.folder)


def test_tutorial_leads_to_a_canister_that_answers(build, repository: Path, committed: Project, tmp_path: Path) -> None:
    reader = Reader(tmp_path, repository)
    for block in blocks(TUTORIAL):
        if block.heading != "Install the tools":
            reader.follow(block)
    assert reader.canister and reader.canister.call("farewell", '("you")') == '("Goodbye, you!")'
    assert git(reader.folder, "status", "--porcelain") == ""
    followed, fresh = files(reader.folder), files(committed())
    (endpoint,) = [block.text for block in blocks(TUTORIAL, "Add an endpoint")]
    assert followed[LIB][1].decode().replace(endpoint, "") == fresh[LIB][1].decode()
    assert {name for name in fresh if followed[name] != fresh[name]} == {LIB, DID}


def test_tutorial_has_a_dfx_command_beside_each_of_icp() -> None:
    icp = {line for block in blocks(TUTORIAL) for line in block.commands() if line.startswith("icp ")}
    dfx = {line.replace("icp network", "dfx").replace("icp", "dfx").replace(" --query", "") for line in icp}
    assert {line for line in dfx if f"`{line}`" not in TUTORIAL.read_text()} == set()
