"""The answers with which the tests try each question."""

from dataclasses import dataclass, field

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

    other: str | bool
    """An answer that is not the default."""
    accepted: list[str] = field(default_factory=list)
    """Texts that are accepted."""
    refused: dict[str, str] = field(default_factory=dict)
    """Texts that are refused, and a part of Copier's answer."""


_CASES = {
    "project_name": Case("goodbye", ["h", "my-app", "h-2_-o--", "a" * 48], NAMES),
    "canister_name": Case(
        "greeter",
        ["h", "h2_o", "matches", "core_app", "h_2__", "z" * 64],
        NAMES | {"hello-backend": PATTERN, "candid": "is a crate in this project's Cargo.lock"},
    ),
    "wasm_memory_limit": Case("5 GiB", ["0", "6442450944", "6GiB", "512 mb", "0001048576 B", "1 TB", "256 TiB"], SIZES),
} | {name: Case(not DEFAULTS[name]) for name in YES_NO}
CASES = {name: _CASES[name] for name in ASKED if name in _CASES}
"""The case of each question that Copier asks, in the order of copier.yml."""
