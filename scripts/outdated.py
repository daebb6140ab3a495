"""Report which pins are behind their newest release: `make outdated`.

A pin is a version that a file of this repository fixes. The report ends with exit code 3 if a version could not be looked up.
"""

import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

from scripts.workspace import ROOT, nightly


class Kind(NamedTuple):
    """Pins that are written and looked up alike."""

    files: tuple[str, ...]
    """Patterns of paths in this repository."""
    pin: str
    """A regular expression with two groups: the name and the pinned version."""
    lookup: str
    """A command that prints released versions, with NAME for the name and NIGHTLY for the pinned toolchain."""
    released: str
    """A regular expression whose only group is a released version in what the command prints."""


PYPI = ".venv/bin/python -m pip index versions NAME"
NPM = "npm view NAME version"
CRATES_IO = "rustup run NIGHTLY cargo info --color=never NAME"
GITHUB = "git ls-remote --tags --refs https://github.com/NAME"
RUST_LANG = (
    f"curl -fsSL {os.environ.get('RUSTUP_DIST_SERVER', 'https://static.rust-lang.org')}/dist/channel-rust-NAME.toml"
)
WORKFLOWS = (".github/workflows/*", "template/*/workflows/*")
CRATES = ("template/Cargo.toml.jinja", "template/src/*/Cargo.toml.jinja", "runtime/helper/Cargo.toml")
A_CRATE = r'^(?!version|edition|resolver)(?:\[.*\.)?([\w-]+)(?:\]\nversion)? = (?:{ version = )?"=?(\d[\d.]*)"'
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
NAMES = "|".join(re.findall(r"^[\w-]+", "\n".join(PACKAGES), re.MULTILINE))
KINDS = (
    Kind(("requirements.txt",), rf"^({NAMES})==([\d.]+)", PYPI, r"\(([\d.]+)\)"),
    Kind(WORKFLOWS, r"\b([\w-]+)==([\d.]+)", PYPI, r"\(([\d.]+)\)"),
    Kind(WORKFLOWS, r"uses: ([\w.-]+/[\w.-]+)\S*@\w{40} # v([\d.]+)$", GITHUB, r"refs/tags/v(\d+\.\d+\.\d+)$"),
    Kind(WORKFLOWS, r"(@[\w/-]+)@(\d[\d.]+)", NPM, r"^([\d.]+)$"),
    Kind(("scripts/npm/package.json",), r'"(@.+)": "([\d.]+)"', NPM, r"^([\d.]+)$"),
    Kind(("template/rust-toolchain.toml",), r'"(nightly)-([\d-]+)"', RUST_LANG, r'^date = "([\d-]+)"'),
    Kind(CRATES, A_CRATE, CRATES_IO, r"^version: (\d+\.\d+\.\d+)\b(?!-)"),
)


@cache
def output(command: str) -> str:
    return subprocess.run(
        command.split(), cwd=ROOT, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    ).stdout


def numbers(version: str) -> list[int]:
    """Return the numbers of a version or a date, by which the newer of two is found."""
    return [int(number) for number in re.findall(r"\d+", version)]


def look_up(kind: Kind, name: str, now: str) -> tuple[str, str]:
    """Return a pin's state, which is "current", "behind" or "unknown", and its newest version or why there is none."""
    try:
        printed = output(kind.lookup.replace("NAME", name).replace("NIGHTLY", nightly()))
        released = re.findall(kind.released, printed, re.MULTILINE)
    except subprocess.CalledProcessError as error:
        return "unknown", error.stderr.strip().partition("\n")[0]
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return "unknown", str(error)
    newest = max(released, key=numbers, default="")
    if not newest:
        return "unknown", "the answer names no version"
    return "behind" if numbers(newest)[: len(numbers(now))] > numbers(now) else "current", newest


def main() -> None:
    """Print a line for each pin."""
    pins = [
        (kind, name, now, path.relative_to(ROOT))
        for kind in KINDS
        for path in sorted(path for pattern in kind.files for path in ROOT.glob(pattern))
        for name, now in re.findall(kind.pin, path.read_text(), re.MULTILINE)
    ]
    with ThreadPoolExecutor() as pool:
        states = list(pool.map(lambda pin: look_up(*pin[:3]), pins))
    for (state, newest), (_, name, now, path) in zip(states, pins, strict=True):
        print(f"{state:<8} {name} {now}, newest: {newest} ({path})")
    sys.exit(3 if any(state == "unknown" for state, _ in states) else 0)


if __name__ == "__main__":
    main()
