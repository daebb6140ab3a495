"""The pages: the site builds, every page can be reached, and every command in a page exists."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from scripts.workspace import ROOT
from tests.conftest import Project
from tests.support.pages import DOCS, blocks, words
from tests.support.projects import YES_NO, copier_command, run

PAGES = sorted(DOCS.rglob("*.md"))
OTHERS = [ROOT / name for name in ("README.md", "README.ja.md", "CONTRIBUTING.md", "CHANGELOG.md")]
MAKEFILE = (ROOT / "Makefile").read_text()
LOADED_FROM_ELSEWHERE = re.compile(
    r"""(?:<(?:script|img|source|iframe)\b[^>]*\bsrc=|<link\b[^>]*\bhref=|@import\s+|url\()["']?(?:https?:)?//.*"""
)
PROGRAM = re.compile(
    r"bash|cargo|cd|copier|curl|dfx|export|git|grep|ic-wasm|icp|make|npm|perl|pipx|rm|rustup|sed|sh|sha256sum"
    r"|sleep|test|xargs|\.venv/bin/python|[A-Z_]+=.+"
)
"""The programs that the pages tell the reader to install, and those that macOS and Linux have."""
FILE = re.compile(r"[\w.-]+(/[\w.-]+)+|[\w.-]+\.(?:json|lock|md|py|sh|toml|wasm|ya?ml)")
SUBCOMMAND = re.compile(r"^ +([a-z][a-z-]*)  ", re.MULTILINE)
MADE = ("target/", ".icp/", ".dfx/", ".venv/", "build/", "tests/releases/")
"""The folders that commands write files to."""


def shell(page: Path) -> list[list[str]]:
    """Return the words of each command in a page: in its blocks, and in its text if a known program comes first."""
    lines = [line for block in blocks(page) if block.is_shell for line in block.commands()]
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`((?:make|copier|icp|ic-wasm|bash) [^`]+)`", text)
    return [command for line in lines for command in words(line)]


COMMANDS = [(page.name, command) for page in PAGES + OTHERS for command in shell(page)]
"""The page and the words of each command."""


@pytest.mark.parametrize("repository", ["", "owner/name"])
def test_site_builds_and_loads_nothing_from_elsewhere(repository: str, tmp_path: Path) -> None:
    (options,) = re.findall(r"sphinx-build (.* -W .*) docs build/docs$", MAKEFILE, re.MULTILINE)
    command = [sys.executable, "-m", "sphinx", *shlex.split(options.replace("build/", f"{tmp_path}/")), DOCS, tmp_path]
    server = "https://example.com" if repository else ""
    github = {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": repository}  # GitHub's runner sets both.
    done = subprocess.run(command, env=os.environ | github, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pages = {page: page.read_text() for page in tmp_path.rglob("*.html")}
    address = f"{server}/{repository}" if repository else "TEMPLATE"
    assert f" {address} hello" in re.sub("<[^>]*>", "", pages[tmp_path / "index.html"])
    assert not repository or all(address in text and "TEMPLATE" not in text for text in pages.values())
    for file in [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")]:
        assert not LOADED_FROM_ELSEWHERE.findall(file.read_text()), file.name


def test_documents_name_paths_that_exist(rendered: Project) -> None:
    for document in OTHERS:  # Sphinx checks the links of the pages.
        for link in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", document.read_text()):
            is_page_of_github = link.startswith("../../actions/")  # Relative to /OWNER/REPOSITORY/blob/BRANCH.
            assert is_page_of_github or (document.parent / link).exists(), f"{document.name}: {link}"
    canister = rendered(pocket_ic=True) / "src/hello_backend"
    for document in PAGES + OTHERS[:3]:  # The changelog also names files that are gone.
        for path in re.findall(
            r"`((?:docs|includes|runtime|scripts|template|tests|tools)/[\w./-]*)`", document.read_text()
        ):
            assert (ROOT / path).exists() or (canister / path).exists(), f"{document.name}: {path}"


def test_commands_in_pages_name_what_exists(rendered: Project) -> None:
    project = rendered(**dict.fromkeys(YES_NO, True))
    for page, (program, *arguments) in COMMANDS:
        assert PROGRAM.fullmatch(program), f"{page}: {program}"
        for word in arguments:
            if program == "make":
                assert re.search(rf"^{word}:", MAKEFILE, re.MULTILINE), f"{page}: make {word}"
            elif FILE.fullmatch(word) and not word.startswith(MADE):
                assert (ROOT / word).exists() or (project / word).exists(), f"{page}: {word}"


@cache
def printed_help(program: str, *subcommands: str) -> str:
    """Return the help of a command. Copier prints its help in this process, in which it is loaded already."""
    if program != "copier":
        return run(shlex.join([program, *subcommands, "--help"]), ROOT)
    with redirect_stdout(StringIO()) as printed:
        copier_command(*subcommands, "--help")
    return printed.getvalue()


@pytest.mark.parametrize("program", ["copier", pytest.param("icp", marks=pytest.mark.rust)])
def test_commands_in_pages_have_options_that_exist(program: str, rendered: Project) -> None:
    readme = [("the generated README.md", command) for command in shell(rendered() / "README.md")]
    commands = [(page, command) for page, command in COMMANDS + readme if command[0] == program]
    assert len(commands) > 10
    for page, command in commands:
        path, rest = command[:1], command[1:]
        while offered := SUBCOMMAND.findall(printed_help(*path).partition("ommands:\n")[2]):
            assert rest and rest[0] in offered, f"{page}: {shlex.join(command)}: one of {offered}"
            path.append(rest.pop(0))
        options = {word.partition("=")[0] for word in rest if word.startswith("-")}
        unknown = options - set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", printed_help(*path)))
        assert not unknown, f"{page}: {shlex.join(command)}: {unknown}"
