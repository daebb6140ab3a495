"""The documentation as the tests follow it: the commands, edits and answers of a page, in order."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from workspace import ROOT

DOCS = ROOT / "docs"
HOW_TO = DOCS / "how-to"
PAGES = sorted(DOCS.rglob("*.md"))
SHELL = {"", "sh"}
"""What a block of commands is marked with; an indented one is not marked."""
EDITS = {
    re.compile(r"[Ss]ave as `(?P<file>[^`]+)`"): "{new}",
    re.compile(r"[Aa]t the end of `(?P<file>[^`]+)`"): "{old}{new}",
    re.compile(r"[Ii]n `(?P<file>[^`]+)`, above `(?P<line>[^`]+)`"): "{before}{new}{line}{after}",
    re.compile(r"[Ii]n `(?P<file>[^`]+)`, below `(?P<line>[^`]+)`"): "{before}{line}{new}{after}",
    re.compile(r"[Ii]n `(?P<file>[^`]+)`, in place of `(?P<line>[^`]+)`"): "{before}{new}{after}",
}
"""What the words before a block say to do with it: the file, the line that they name in it, and what it becomes."""


@dataclass
class Block:
    """A block of a page, the paragraph before it, and the heading that both are below."""

    heading: str
    paragraph: str
    language: str
    text: str

    @property
    def is_shell(self) -> bool:
        return self.language in SHELL

    def commands(self) -> list[str]:
        """The lines of a block for a shell, each with those that it goes on in."""
        return re.sub(r"\\\n\s*", "", self.text).splitlines()


def blocks(page: Path, heading: str | None = None) -> list[Block]:
    """The blocks of a page, or of what is below one heading."""
    found = list(_blocks(page))
    return [block for block in found if heading in (None, block.heading)]


def _blocks(page: Path) -> Iterator[Block]:
    heading = paragraph = ""
    tokens = MarkdownIt().parse(page.read_text())
    for before, token in pairwise(tokens):
        if token.type == "inline" and before.type == "heading_open":
            heading, paragraph = token.content, ""
        elif token.type == "inline":
            paragraph = token.content
        elif token.type in ("fence", "code_block"):
            yield Block(heading, paragraph, token.info if token.type == "fence" else "", token.content)


def script(page: Path, heading: str) -> str:
    """The commands below a heading, as they stand, but for what the setup has done already."""
    text = "".join(block.text for block in blocks(page, heading) if block.is_shell)
    assert text, f"{page.name} has no commands below {heading!r}"
    return text.replace("rustup toolchain install\n", "")


def commands(page: Path, text: str) -> str:
    """The one block for a shell that has `text`."""
    (found,) = [block.text for block in blocks(page) if block.is_shell and text in block.text]
    return found


def fenced(page: Path, language: str) -> list[str]:
    """The blocks in a language, in order."""
    return [block.text for block in blocks(page) if block.language == language]


def edit(block: Block, project: Path) -> bool:
    """Do with a block what the paragraph before it says, and return whether it says anything of a file."""
    for pattern, becomes in EDITS.items():
        if found := pattern.search(block.paragraph):
            path = project / found["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            old = path.read_text() if path.exists() else ""
            parts = {"old": old, "new": block.text}
            if "line" in pattern.groupindex:
                (line,) = [line for line in old.splitlines(keepends=True) if found["line"] in line]
                before, after = old.split(line)
                parts |= {"before": before, "line": line, "after": after}
            path.write_text(becomes.format(**parts))
            return True
    return False


def words(command: str) -> list[list[str]]:
    """The words of each simple command in a line for a shell."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    simple: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("&|;"):
            simple.append([])
        else:
            simple[-1].append(word)
    return [command for command in simple if command]
