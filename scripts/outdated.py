"""Report which pins are behind their newest release: `make outdated`.

A pin is a version that a file of this repository fixes. The report ends with exit code 3 if a version could not be looked up.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
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
    lookup: Callable[[str], tuple[str, ...]]
    """A function of the name that returns a command that prints released versions."""
    released: str
    """A regular expression whose only group is a released version in what the command prints."""


def on_pypi(name: str) -> tuple[str, ...]:
    return sys.executable, "-m", "pip", "index", "versions", name


def on_npm(name: str) -> tuple[str, ...]:
    return "npm", "view", name, "version"


def on_crates_io(name: str) -> tuple[str, ...]:
    return "rustup", "run", nightly(), "cargo", "info", "--color=never", name


def on_github(action: str) -> tuple[str, ...]:
    repository = "/".join(action.split("/")[:2])
    return "git", "ls-remote", "--tags", "--refs", f"https://github.com/{repository}"


def on_rust_lang(channel: str) -> tuple[str, ...]:
    return "curl", "-fsSL", f"https://static.rust-lang.org/dist/channel-rust-{channel}.toml"


WORKFLOWS = (".github/workflows/*", "template/*/workflows/*")
CRATES = ("template/Cargo.toml.jinja", "template/src/*/Cargo.toml.jinja", "runtime/helper/Cargo.toml")
A_CRATE = r'^(?!version|edition|resolver)(?:\[.*\.)?([\w-]+)(?:\]\nversion)? = (?:{ version = )?"=?(\d[\d.]*)"'
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
NAMES = "|".join(re.findall(r"^[\w-]+", "\n".join(PACKAGES), re.MULTILINE))
KINDS = (
    Kind(("requirements.txt",), rf"^({NAMES})==([\d.]+)", on_pypi, r"\(([\d.]+)\)"),
    Kind(WORKFLOWS, r"\b([\w-]+)==([\d.]+)", on_pypi, r"\(([\d.]+)\)"),
    Kind(WORKFLOWS, r"uses: ([\w./-]+)@\w{40} # v([\d.]+)$", on_github, r"refs/tags/v(\d+\.\d+\.\d+)$"),
    Kind(WORKFLOWS, r"(@[\w/-]+)@(\d[\d.]+)", on_npm, r"^([\d.]+)$"),
    Kind(("scripts/npm/package.json",), r'"(@.+)": "([\d.]+)"', on_npm, r"^([\d.]+)$"),
    Kind(("template/rust-toolchain.toml",), r'"(nightly)-([\d-]+)"', on_rust_lang, r'^date = "([\d-]+)"'),
    Kind(CRATES, A_CRATE, on_crates_io, r"^version: (\d+\.\d+\.\d+)\b(?!-)"),
)


@cache
def output(*command: str) -> str:
    return subprocess.run(
        command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    ).stdout


def numbers(version: str) -> list[int]:
    """Return the numbers of a version or a date, by which the newer of two is found."""
    return [int(number) for number in re.findall(r"\d+", version)]


def look_up(kind: Kind, name: str, now: str) -> tuple[str, str]:
    """Return a pin's state, which is "current", "behind" or "unknown", and its newest version or why there is none."""
    try:
        released = re.findall(kind.released, output(*kind.lookup(name)), re.MULTILINE)
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
