"""The answers with which the tests try each question, and the files that each answer changes."""

import re
from dataclasses import dataclass, field

from tests.support.pages import DOCS, code
from tests.support.projects import ASKED, DEFAULTS, YES_NO

PATTERN = "Use a-z, 0-9"
NAMES = dict.fromkeys(["Hello", "héllo", "it's", "hello\u202eolleh", "hello\nworld", "--trust"], PATTERN) | {
    "": "An empty name is not allowed.",
    "1hello": "starting with a letter",
    "{{ 7 * 7 }}": '"{{ 7 * 7 }}" is not allowed.',
    "$(touch owned)": '"$(touch owned)" is not allowed.',
    "a" * 65: "The name has 65.",
    "match": 'Try "match_app": "match" is a Rust keyword.',
    "core": 'Try "core_app": "core" is a crate that comes with Rust.',
    "no": 'Try "no_app": "no" is a value in YAML, not a name.',
    "con": 'Try "con_app": "con" is a reserved name on Windows.',
}
"""Names that a project and a canister cannot have, and a part of Copier's answer."""
SIZES = {
    **dict.fromkeys(["", "6 apples", "6.5 GiB", "6 GIB", "6 ", "6 GiB\n", "٦ GiB"], "is not a memory size"),
    **dict.fromkeys(["281474976710657", "257 TiB", "9" * 5000], "more than the IC allows"),
    "600 KiB": "less than a canister's stack needs",
}
"""Memory limits that are refused, and a part of Copier's answer."""


@dataclass(frozen=True)
class Case:
    """The answers with which the tests try one question."""

    question: str
    other: str | bool
    """An answer that is not the default."""
    accepted: list[str] = field(default_factory=list)
    """Texts that are accepted."""
    refused: dict[str, str] = field(default_factory=dict)
    """Texts that are refused, and a part of Copier's answer."""

    @property
    def changes(self) -> set[str]:
        """The files that differ between the two answers, as docs/reference/questions.md lists them under Changes."""
        page = (DOCS / "reference/questions.md").read_text()
        section = page.partition(f"\n## `{self.question}`\n")[2].partition("\n## ")[0]
        found = re.search(r"^- \*\*Changes\*\*: (.+(?:\n  .+)*)", section, re.MULTILINE)
        assert found, f'Add "- **Changes**: ..." to the section `{self.question}` of docs/reference/questions.md.'
        return {file for file in code(found[1]) if "." in file}


_CASES = [
    Case("project_name", "goodbye", ["h", "my-app", "h-2_-o--", "a" * 48], NAMES),
    Case(
        "canister_name",
        "greeter",
        ["h", "h2_o", "matches", "core_app", "h_2__", "z" * 64],
        NAMES | {"hello-backend": PATTERN, "candid": "is a crate in this project's Cargo.lock"},
    ),
    Case("wasm_memory_limit", "5 GiB", ["0", "6442450944", "6GiB", "512 mb", "0001048576 B", "1 TB", "256 TiB"], SIZES),
    *(Case(name, not DEFAULTS[name]) for name in YES_NO),
]
CASES = {case.question: case for case in sorted(_CASES, key=lambda case: ASKED.index(case.question))}
"""The case of each question that Copier asks, in the order of copier.yml."""
