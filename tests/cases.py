"""What each question promises: one entry a question. The tests of questions, files, updates and pages run over this list."""

from dataclasses import dataclass, field

NAMES = {
    "": "An empty name is not allowed.",
    "Hello": "Use a-z, 0-9",
    "1hello": "a letter first",
    "héllo": "Use a-z, 0-9",
    "it's": "Use a-z, 0-9",
    "hello\u202eolleh": "Use a-z, 0-9",
    "{{ 7 * 7 }}": '"{{ 7 * 7 }}" is not allowed.',
    "$(touch owned)": '"$(touch owned)" is not allowed.',
    "hello\nworld": "Use a-z, 0-9",
    "--trust": "Use a-z, 0-9",
    "a" * 65: "The name has 65.",
    "match": 'Try "match_app": "match" is a Rust keyword.',
    "core": 'Try "core_app": "core" is a crate that comes with Rust.',
    "no": 'Try "no_app": "no" is a value in YAML, not a name.',
    "con": 'Try "con_app": "con" is a device on Windows.',
}
"""Names that a project and a canister cannot have, and what Copier says."""
SIZES = {
    "": "no memory size",
    "6 apples": "no memory size",
    "6.5 GiB": "no memory size",
    "6 GIB": "no memory size",
    "6 ": "no memory size",
    "6 GiB\n": "no memory size",
    "٦ GiB": "no memory size",
    "600 KiB": "less than the stack of a canister takes",
    "281474976710657": "more than the IC allows",
    "257 TiB": "more than the IC allows",
    "9" * 5000: "more than the IC allows",
}
"""Memory limits that are refused, and what Copier says."""


@dataclass(frozen=True)
class Case:
    """What one question promises."""

    other: str | bool
    """An answer that is not the default."""
    changes: set[str]
    """The files that differ with the other answer, or exist only with one of the two, but for the answers file.

    Every other yes/no is yes, and the canister's name in a file's path counts as `hello_backend`.
    """
    accepted: list[str] = field(default_factory=list)
    """For a text: answers that are accepted."""
    refused: dict[str, str] = field(default_factory=dict)
    """For a text: answers that are refused, and a part of what Copier says."""


CASES = {
    "project_name": Case("goodbye", {"README.md"}, ["h", "my-app", "h-2_-o--", "a" * 48], NAMES),
    "canister_name": Case(
        "greeter",
        {"Cargo.lock", "Cargo.toml", "README.md", "dfx.json", "icp.yaml", "src/hello_backend/Cargo.toml"},
        ["h", "h2_o", "matches", "core_app", "h_2__", "z" * 64],
        NAMES | {"hello-backend": "Use a-z, 0-9", "candid": "is a crate in this project's Cargo.lock"},
    ),
    "timers": Case(
        False,
        {
            "Cargo.lock",
            "src/hello_backend/Cargo.toml",
            "src/hello_backend/hello_backend.did",
            "src/hello_backend/src/lib.rs",
            "src/hello_backend/src/timers.rs",
            "src/hello_backend/tests/pocket_ic.rs",
        },
    ),
    "shrink": Case(False, {"dfx.json", "icp.yaml"}),
    "gzip": Case(False, {"dfx.json", "icp.yaml"}),
    "wasm_memory_limit": Case(
        "5 GiB",
        {"README.md", "dfx.json", "icp.yaml", "src/hello_backend/tests/pocket_ic.rs"},
        ["0", "6442450944", "6GiB", "512 mb", "0001048576 B", "1 TB", "256 TiB"],
        SIZES,
    ),
    "icp_cli": Case(False, {"README.md", "icp.yaml", "wasm64.hbs", ".github/workflows/ci.yml"}),
    "github_actions": Case(False, {".github/workflows/ci.yml", ".github/workflows/template.yml"}),
    "pocket_ic": Case(
        True,
        {"Cargo.lock", "README.md", "src/hello_backend/Cargo.toml", "src/hello_backend/tests/pocket_ic.rs"},
    ),
}
