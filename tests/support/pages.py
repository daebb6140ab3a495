"""Read the pages of docs/ as a reader follows them: commands, edits and output, in order."""

import re
import shlex
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from markdown_it import MarkdownIt

from scripts.workspace import ROOT

DOCS = ROOT / "docs"
HOW_TO = DOCS / "how-to"
QUESTIONS_PAGE = "docs/reference/questions.md"
_, *_SECTIONS = re.split(r"^## `(\w+)`\n", (ROOT / QUESTIONS_PAGE).read_text(), flags=re.MULTILINE)
SECTIONS = dict(zip(_SECTIONS[::2], _SECTIONS[1::2], strict=True))
"""The section of each question in that page, by question."""
EDITS = {
    re.compile(r"[Ss]ave (?:it )?as `(?P<file>[^`]+)`"): "{new}",
    re.compile(r"[Aa]t the end of `(?P<file>[^`]+)`"): "{old}{new}",
    re.compile(r"[Ii]n `(?P<file>[^`]+)`, above `(?P<line>[^`]+)`"): "{before}{new}{line}{after}",
    re.compile(r"[Ii]n `(?P<file>[^`]+)`, below `(?P<line>[^`]+)`"): "{before}{line}{new}{after}",
    re.compile(r"[Ii]n `(?P<file>[^`]+)`, in place of `(?P<line>[^`]+)`"): "{before}{new}{after}",
}
"""The words before a block that name the file to change, and the new content of the file."""


@dataclass
class Block:
    """A block of code in a page."""

    heading: str
    paragraph: str
    """The paragraph before the block."""
    language: str
    """Empty for an indented block, which is commands for a shell."""
    text: str

    @property
    def is_shell(self) -> bool:
        return not self.language

    def commands(self) -> list[str]:
        """Return the commands of a block. A backslash at the end of a line continues the command."""
        return re.sub(r"\\\n\s*", "", self.text).splitlines()


def blocks(page: Path, heading: str | None = None) -> list[Block]:
    """Return the blocks of a page, or only those of one section."""
    found, below, paragraph = [], "", ""
    for before, token in pairwise(MarkdownIt().parse(page.read_text())):
        if token.type == "inline" and before.type == "heading_open":
            below, paragraph = token.content, ""
        elif token.type == "inline":
            paragraph = token.content
        elif token.type in ("fence", "code_block"):
            language = token.info if token.type == "fence" else ""
            found.append(Block(below, paragraph, language, token.content))
    return [block for block in found if heading in (None, block.heading)]


def script(page: Path, heading: str) -> str:
    """Return the commands of a section, without the installation of the toolchain, which setup.sh has done."""
    text = "".join(block.text for block in blocks(page, heading) if block.is_shell)
    assert text, f"{page.name} has no commands below {heading!r}"
    return text.replace("rustup toolchain install\n", "")


def commands(page: Path, text: str) -> str:
    """Return the only block of commands that contains `text`."""
    (found,) = [block.text for block in blocks(page) if block.is_shell and text in block.text]
    return found


def fenced(page: Path, language: str) -> list[str]:
    """Return a page's blocks in one language, in the page's order."""
    return [block.text for block in blocks(page) if block.language == language]


def code(text: str) -> list[str]:
    """Return the words in backquotes of a text."""
    return re.findall(r"`([^`]+)`", text)


def fact(question: str, name: str) -> str:
    """Return the text after `- **NAME**:` in the section of a question. Fail if there is none."""
    found = re.search(rf"^- \*\*{name}\*\*: (.+(?:\n  .+)*)", SECTIONS[question], re.MULTILINE)
    assert found, f'Add a line "- **{name}**: ..." to the section `{question}` of {QUESTIONS_PAGE}.'
    return found[1]


def edit(block: Block, project: Path) -> bool:
    """Change a file of the project as the paragraph before the block says. Return whether the paragraph names a file."""
    for pattern, content in EDITS.items():
        if found := pattern.search(block.paragraph):
            path = project / found["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            parts = {"old": path.read_text() if path.exists() else "", "new": block.text}
            if "line" in pattern.groupindex:
                (line,) = [line for line in parts["old"].splitlines(keepends=True) if found["line"] in line]
                before, after = parts["old"].split(line)
                parts |= {"before": before, "line": line, "after": after}
            path.write_text(content.format(**parts))
            return True
    return False


def words(line: str) -> list[list[str]]:
    """Split a line for a shell into its simple commands, and each of them into words."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    parts = groupby(lexer, lambda word: set(word) <= set("&|;"))
    return [list(command) for is_operator, command in parts if not is_operator]
