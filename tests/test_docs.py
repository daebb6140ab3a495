"""The documents say what is so; tests/test_readme.py is about the README."""

import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import FILES, ROOT, Generate

README = (ROOT / "README.md").read_text()


def table(heading: str, document: str = README) -> list[list[str]]:
    """The cells of the first table after a heading, without its two head lines."""
    lines = document.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[2:]


def test_every_generated_file_has_one_owner() -> None:
    rows = table("Who owns what", (ROOT / "docs/updates.md").read_text())
    named = [name for cell, *_ in rows for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(named) == sorted({"src/" if file.startswith("src/") else file for file in FILES})


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for document in (README, (ROOT / "CONTRIBUTING.md").read_text()):
        for target in re.findall(r"(?:^    |`)make ([a-z-]+)", document, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_to_a_file_leads_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *Path(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_the_generated_readme_names_what_is_there(generate: Generate) -> None:
    project = generate(canister_name="greeter")
    readme = (project / "README.md").read_text()
    assert readme.startswith("# hello\n")
    for name in re.findall(r"`([\w.-]+\.(?:toml|yml|did|rs|json|sh))`", readme):
        assert list(project.rglob(name)), name


@pytest.mark.rust
def test_the_runtimes_example_prints_what_it_says(module: Generate) -> None:
    document = (ROOT / "docs/canister-runtime.md").read_text()
    actions, printed = re.search(r"\\\n {8}(.+)\n(?:.*\n)+?((?:    \(.*\)\n)+)", document).groups()
    command = [sys.executable, "tools/canister.py", str(module()), *shlex.split(actions)]
    result = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    assert result.stdout == textwrap.dedent(printed)
