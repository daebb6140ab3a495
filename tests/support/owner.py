"""Changes that owners make to a project, in the usual places."""

from pathlib import Path

from tests.support.projects import LIB, replace

Edit = tuple[str, str, str]
"""A file, a text in it, and the text that replaces it. An empty text is the end of the file."""
ENDPOINT = """\
#[ic_cdk::query]
fn {0}() -> String {{
    "{0}".into()
}}

"""
IN_DFX = """
    },
    "second_backend": {
      "candid": "src/second_backend/second_backend.did",
      "build": "bash build.sh second_backend",
      "type": "custom",
      "wasm": "target/wasm64-unknown-unknown/release/second_backend.wasm"
    }
  }
"""
IN_ICP = """\
  - name: second_backend
    recipe: { type: file://wasm64.hbs, configuration: { package: second_backend } }
"""
NETWORKS = '"version": 1,\n  "networks": { "staging": { "providers": ["https://icp-api.io"], "type": "persistent" } },'
GREET, TESTS = "#[ic_cdk::query]\nfn greet", "\n#[cfg(test)]\nmod tests"
SETTINGS: list[Edit] = [
    ("Cargo.toml", '"src/hello_backend"', '"src/hello_backend", "src/second_backend"'),
    ("dfx.json", "\n    }\n  }\n", IN_DFX),
    ("dfx.json", '"version": 1,', NETWORKS),
    (".gitignore", "", "/.env\n"),
]
"""A second canister, and more settings."""
ADDITIONS: list[Edit] = [
    *SETTINGS,
    ("icp.yaml", "", IN_ICP),
    (".github/workflows/ci.yml", "", "      - run: bash deploy.sh\n"),
    (LIB, GREET, ENDPOINT.format("above") + GREET),
    (LIB, TESTS, f"\n{ENDPOINT.format('below')}{TESTS.lstrip()}"),
]
"""`SETTINGS`, and also endpoints and a workflow step, in files that version 1.0.0 generated in another order."""


def make(project: Path, edits: list[Edit]) -> None:
    """Make the edits in a project."""
    for name, old, new in edits:
        replace(project / name, old, new)


def manifest(name: str, *dependencies: str, is_library: bool = True) -> str:
    """Return the Cargo.toml of a canister, as a library or a binary, with lines such as `candid = "0.10"`."""
    package = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n\n'
    library = '[lib]\ncrate-type = ["cdylib"]\n\n' if is_library else ""
    return f"{package}{library}[dependencies]\n" + "".join(f"{line}\n" for line in dependencies)
