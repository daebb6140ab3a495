"""The documentation: it builds, each page can be reached, and what it tells to do is there to be done."""

import filecmp
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import reference
import yaml
from conftest import FILES, ROOT, Generate
from documents import DOCS, HOW_TO, PAGES, blocks, commands, fenced, words
from projects import OPTIONAL_FILES

INDEX = (DOCS / "index.md").read_text()
CAPTIONS = ["Tutorial", "How-to guides", "Reference", "Explanation"]
LOADED = re.compile(r"""<(?:script|img|source|iframe)\b[^>]*\bsrc=["']([^"']+)|<link\b[^>]*\bhref=["']([^"']+)""")
LOADED_BY_CSS = re.compile(r"""(?:@import\s+|url\()["']?([^"')]+)""")
PROGRAM = re.compile(
    r"bash|cargo|cd|copier|curl|dfx|export|git|grep|ic-wasm|icp|make|npm|perl|pipx|rustup|sh|sha256sum|sleep|test|xargs"
    r"|\.venv/bin/python|[A-Z_]+=.+"
)
"""What the documentation may tell to run: what its reader is told to install, and what macOS and Linux have."""
A_FILE = re.compile(r"[\w.-]+(/[\w.-]+)+|[\w.-]+\.(?:json|lock|md|py|sh|toml|wasm|ya?ml)")
MADE = ("target/", ".icp/", ".dfx/", ".venv/", "build/")
"""Where files are that commands make."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    return build(DOCS, tmp_path_factory.mktemp("site"))


def build(docs: Path, folder: Path) -> Path:
    """Build the pages in `docs`. Fails for anything that Sphinx has to say."""
    (line,) = re.findall(r"sphinx-build (.*) docs build/docs$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    options = shlex.split(line.replace("build/doctrees", str(folder / "doctrees")))
    command = [sys.executable, "-m", "sphinx", *options, str(docs), str(folder / "html")]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "html"


def test_the_strict_build_has_nothing_to_say(site: Path) -> None:
    built = {page.relative_to(site).with_suffix(".md").as_posix() for page in site.rglob("*.html")}
    assert built >= {page.relative_to(DOCS).as_posix() for page in PAGES}


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for file in [*site.rglob("*.html"), *site.rglob("*.css")]:
        pattern = LOADED if file.suffix == ".html" else LOADED_BY_CSS
        for found in pattern.findall(file.read_text()):
            (address,) = filter(None, found) if isinstance(found, tuple) else [found]
            assert not re.match(r"(https?:)?//", address), f"{file.name}: {address}"


def test_the_site_is_the_same_wherever_it_is_built(site: Path, tmp_path: Path) -> None:
    again = build(shutil.copytree(DOCS, tmp_path / "elsewhere"), tmp_path)
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert names == {path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()}
    _same, different, unread = filecmp.cmpfiles(site, again, names, shallow=False)
    assert (different, unread) == ([], [])


# The pages


def test_the_index_leads_to_each_page_in_the_order_of_the_sidebar() -> None:
    for caption in CAPTIONS:
        (toctree,) = re.findall(rf":caption: {caption}\n:hidden:\n\n([^`]+)```", INDEX)
        section = INDEX.split(f"\n## {caption}\n", 1)[1].split("\n## ", 1)[0].split("\n```", 1)[0]
        linked = re.findall(r"^- \[.+\]\((.+)\.md\)", section, re.MULTILINE)
        assert linked == toctree.split(), caption


def test_the_sidebar_has_the_four_kinds_of_pages(site: Path) -> None:
    html = (site / "index.html").read_text()
    assert re.findall(r'<p class="caption"[^>]*><span class="caption-text">(.*?)</span>', html) == CAPTIONS


@pytest.mark.pins
def test_the_reference_pages_are_what_the_template_is() -> None:
    for file, text in reference.pages().items():
        assert file.read_text() == f"{text}\n", f"{file.name}: run make docs"


@pytest.mark.parametrize(
    ("what", "name", "sentence"),
    [
        ("questions", "colour", "add locks, change for colour below `questions:`"),
        ("files", "NOTES.md", "add owner, what for NOTES.md below `files:`"),
    ],
)
def test_what_prose_yml_lacks_is_named(what: str, name: str, sentence: str) -> None:
    prose = yaml.safe_load(reference.PROSE.read_text())
    keys = {"questions": ("locks", "change"), "files": ("owner", "what")}[what]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        reference.complete(prose, [*prose[what], name], what, keys)
    gone = next(iter(prose[what]))
    with pytest.raises(ValueError, match=f"take out {re.escape(gone)} below `{what}:`"):
        reference.complete(prose, list(prose[what])[1:], what, keys)


# What they tell to do


def shell(page: Path) -> list[list[str]]:
    """The words of each command of a page: of its blocks, and of `code` in its text that starts with such a program."""
    lines = [line for block in blocks(page) if block.is_shell for line in block.commands()]
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`((?:make|copier|icp|ic-wasm|bash) [^`]+)`", text)
    return [command for line in lines for command in words(line)]


READMES = [ROOT / "README.md", ROOT / "README.ja.md"]
COMMANDS = [(page.relative_to(ROOT).as_posix(), command) for page in PAGES + READMES for command in shell(page)]


def test_every_command_is_of_a_program_that_the_reader_has() -> None:
    for page, (program, *_) in COMMANDS:
        assert PROGRAM.fullmatch(program), f"{page}: {program}"


def test_every_make_target_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {command[1] for _, command in COMMANDS if command[0] == "make"}
    assert named and named <= targets


def test_every_file_that_a_command_names_is_there() -> None:
    for page, command in COMMANDS:
        for word in filter(A_FILE.fullmatch, command[1:]):
            generated = any(file == word or file.startswith(f"{word}/") for file in {*FILES, *OPTIONAL_FILES})
            assert generated or word.startswith(MADE) or (ROOT / word).is_file(), f"{page}: {word}"


def check(page: str, command: list[str], printed_help: Callable[..., str]) -> None:
    """Fail unless the help of a program knows the subcommands and the options of a command."""
    path, rest = [], command[1:]
    while offered := re.findall(r"^  ([a-z][a-z-]*)  ", printed_help(*path).partition("Commands:\n")[2], re.MULTILINE):
        assert rest and rest[0] in offered, f"{page}: {shlex.join(command)}: one of {offered}"
        path.append(rest.pop(0))
    options = {word.partition("=")[0] for word in rest if word.startswith("-")}
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", printed_help(*path)))
    assert options <= known, f"{page}: {shlex.join(command)}: {options - known}"


@cache
def help_of_copier(*path: str) -> str:
    """The help of a subcommand; without one, the subcommands as icp lists them."""
    command = [sys.executable, "-m", "copier", *path, "--help"]
    printed = subprocess.run(command, text=True, capture_output=True, check=True).stdout
    return printed if path else printed.replace("Sub-commands:\n", "Commands:\n").replace("\n    ", "\n  ")


def given(program: str, project: Path) -> list[tuple[str, list[str]]]:
    """The commands of a program in the documentation, and in a project's README."""
    generated = [("the generated README.md", command) for command in shell(project / "README.md")]
    return [(page, command) for page, command in COMMANDS + generated if command[0] == program]


def test_copier_knows_every_command_that_is_given_to_it(generate: Generate) -> None:
    asked = given("copier", generate())
    assert len(asked) > 10
    for page, command in asked:
        check(page, command, help_of_copier)


@cache
def help_of_icp(*path: str) -> str:
    return subprocess.run(["icp", *path, "--help"], text=True, capture_output=True, check=True).stdout


@pytest.mark.rust  # As icp is installed for these.
def test_icp_knows_every_command_that_is_given_to_it(generate: Generate) -> None:
    asked = given("icp", generate())
    assert {page for page, _ in asked} > {"README.md", "README.ja.md", "the generated README.md"}
    for page, command in asked:
        check(page, command, help_of_icp)


@pytest.mark.rust
def test_the_runtimes_example_prints_what_it_says(module: Generate) -> None:
    page = HOW_TO / "without-a-replica.md"
    _python, program, _module, *actions = words(commands(page, "call greet").replace("\\\n", ""))[0]
    done = subprocess.run(
        [sys.executable, program, str(module()), *actions], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert done.stdout == fenced(page, "candid")[0]
