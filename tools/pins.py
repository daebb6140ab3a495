"""Tell which pins are behind their newest release, and move them there.

A pin is a version that a file here fixes; `KINDS` says which files, and who knows the newest version. A major version is
moved to like any other: the tests decide.

    python tools/pins.py [NAME...]           print a row for each pin, or for those of these names
    python tools/pins.py --move [NAME...]    write the newest versions into the files, and lock anew what follows from them

Exits with 3 where a version could not be looked up: such a pin is neither current nor moved.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import workspace
from workspace import ROOT, TEMPLATE

SECONDS = 120
"""The time that a look-up may take."""
REQUIREMENTS = ROOT / "requirements.txt"
PYTHON_PACKAGES = "requirements.txt"
"""The name of all that is locked there: these packages move together."""


@dataclass(frozen=True)
class Kind:
    """Pins that are written and looked up alike."""

    files: tuple[str, ...]
    """Globs, from the repository's root."""
    pattern: str
    """A regular expression with the groups `name` and `now`, the version."""
    newest: Callable[[str], str]
    """The newest version of a name, written as `now` is. Raises `LookupError`, `OSError` or `ValueError`."""
    lock: Callable[[], object] | None = None
    """What to do after a move."""


@dataclass(frozen=True)
class Pin:
    """One version in one place."""

    kind: Kind
    name: str
    now: str
    file: Path
    start: int
    """The version's place in the file's text."""

    @property
    def where(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.file.read_text()[: self.start].count(chr(10)) + 1}"


@dataclass(frozen=True)
class Row:
    """A pin's line of the table; `newest` is None where it could not be looked up, for the `reason`."""

    name: str
    now: str
    newest: str | None
    where: str
    reason: str = ""
    pin: Pin | None = None

    @property
    def behind(self) -> bool:
        return self.newest is not None and (self.pin is None or order(self.newest) > order(self.now))


def order(version: str) -> tuple[int, ...]:
    """The numbers by which versions, dates and commented commits are compared: `v1.10.0` is newer than `v1.9.0`."""
    return tuple(map(int, re.findall(r"\d+", version.rpartition("#")[2])))


def output(*command: str) -> str:
    """What a command prints. Raises `LookupError` with the last line of its complaint."""
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise LookupError(f"{command[0]} took more than {SECONDS} seconds") from None
    except FileNotFoundError:
        raise LookupError(f"{command[0]} is not installed") from None
    if done.returncode:
        raise LookupError((done.stderr.strip() or f"{command[0]} failed").splitlines()[-1])
    return done.stdout


def found(pattern: str, text: str) -> str:
    """The first group of the first match. Raises `LookupError` where there is none."""
    if match := re.search(pattern, text, re.MULTILINE):
        return match[1]
    raise LookupError("an answer without a version")


# Look-ups: the newest version that is neither a pre-release nor withdrawn.


def crate(name: str) -> str:
    """On crates.io, among those that the pinned nightly compiles."""
    answer = output("rustup", "run", workspace.nightly(), "cargo", "info", "--color=never", name)
    return found(r"^version: (\d+\.\d+\.\d+)\b(?!-)", answer)


def nightly(_: str) -> str:
    """The date of the newest nightly; it has to have the components of `rust-toolchain.toml` for this machine."""
    server = os.environ.get("RUSTUP_DIST_SERVER", "https://static.rust-lang.org")
    with urllib.request.urlopen(f"{server}/dist/channel-rust-nightly.toml", timeout=SECONDS) as response:
        manifest = tomllib.loads(response.read().decode())
    host = found(r"^Default host: (\S+)", output("rustup", "show"))
    toolchain = tomllib.loads((TEMPLATE / "rust-toolchain.toml").read_text())["toolchain"]
    for component in ("rustc", "cargo", "rust-std", *toolchain["components"]):
        targets = manifest["pkg"][manifest["renames"].get(component, {"to": component})["to"]]["target"]
        if not targets.get("*", targets.get(host, {})).get("available"):
            raise LookupError(f"the nightly of {manifest['date']} has no {component} for {host}: try another day")
    return manifest["date"]


def python_package(name: str) -> str:
    """On PyPI."""
    return found(r"\((\d+(?:\.\d+)*)\)", output(sys.executable, "-m", "pip", "index", "versions", name))


def npm_package(name: str) -> str:
    """On npm: what an install without a version gets."""
    return found(r"^(\d+\.\d+\.\d+)$", output("npm", "view", name, "version"))


def go_module(name: str) -> str:
    return found(r"^(v\d+\.\d+\.\d+)$", output("go", "list", "-m", "-f", "{{.Version}}", f"{name}@latest"))


def action(name: str) -> str:
    """The commit of the newest tag of a GitHub action, and the tag as a comment."""
    repository = "/".join(name.split("/")[:2])
    tags = output("git", "ls-remote", "--tags", f"https://github.com/{repository}")
    # An annotated tag has a second line, with ^{} and the commit.
    commits = {
        tag: commit
        for commit, tag in re.findall(r"^(\w{40})\s+refs/tags/(v\d+\.\d+\.\d+)(?:\^{})?$", tags, re.MULTILINE)
    }
    if not commits:
        raise LookupError("no tag is a version")
    newest = max(commits, key=order)
    return f"{commits[newest]} # {newest}"


# What follows from a move. Each says on standard error what goes wrong, and raises `subprocess.CalledProcessError`.


def run(*command: str, folder: str = ".") -> None:
    subprocess.run(command, cwd=ROOT / folder, check=True)


def lock_template() -> None:
    run("make", "lock")


def lock_native() -> None:
    workspace.cargo("update", "--manifest-path", "tools/native/Cargo.toml")


def lock_python() -> None:
    run("make", "requirements", "UPGRADE=--upgrade")


def lock_npm() -> None:
    run("npm", "install", "--package-lock-only", "--no-audit", "--no-fund", folder="tools/npm")


def lock_go() -> None:
    run("go", "mod", "tidy", folder="tools/go")


WORKFLOWS = (".github/workflows/*", "template/*/workflows/*")
KINDS = (
    Kind(("pyproject.toml",), r'"(?P<name>[\w-]+)==(?P<now>[\d.]+)"', python_package, lock_python),
    Kind(WORKFLOWS, r"\b(?P<name>[\w-]+)==(?P<now>[\d.]+)", python_package),
    Kind(WORKFLOWS, r"uses: (?P<name>[\w./-]+)@(?P<now>\w{40} # v[\d.]+)$", action),
    Kind(WORKFLOWS, r"(?P<name>@[\w/-]+)@(?P<now>\d[\d.]+)", npm_package),
    Kind(("tools/npm/package.json",), r'"(?P<name>@[\w/-]+)": "(?P<now>[\d.]+)"', npm_package, lock_npm),
    Kind(
        ("tools/go/go.mod",),  # A line with a tool has no version; that of its module follows among the requirements.
        r"^(?:tool|\t)\s*(?P<name>[^/\s]+/[^/\s]+/[^/\s]+)\S*$(?=[\s\S]*^(?:require|\t)\s*(?P=name) (?P<now>v[\d.]+))",
        go_module,
        lock_go,
    ),
    Kind(("template/rust-toolchain.toml",), r'^channel = "(?P<name>nightly)-(?P<now>[\d-]+)"', nightly, lock_template),
    Kind(
        ("template/Cargo.toml.jinja", "template/src/*/Cargo.toml.jinja"),
        r'^(?:\[(?:dev-)?dependencies\.)?(?P<name>[\w-]+)(?:\]\nversion)? = "=(?P<now>[\d.]+)"',
        crate,
        lock_template,
    ),
    Kind(
        ("tools/native/Cargo.toml",),
        r'^(?!version|edition)(?P<name>[\w-]+) = (?:{ version = )?"(?P<now>\d[\d.]*)"',
        crate,
        lock_native,
    ),
)
"""All pins but the packages of requirements.txt. What follows from moves is done in this order."""


def pins() -> list[Pin]:
    """The pins of the work tree."""
    return [
        Pin(kind, match["name"], match["now"], file, match.start("now"))
        for kind in KINDS
        for file in sorted(path for glob in kind.files for path in ROOT.glob(glob))
        for match in re.finditer(kind.pattern, file.read_text(), re.MULTILINE)
    ]


def row(pin: Pin) -> Row:
    """Look a pin up. Where it fixes only the first parts of a version, the newest has as many."""
    try:
        newest = pin.kind.newest(pin.name)
    except (LookupError, OSError, ValueError) as error:
        return Row(pin.name, pin.now, None, pin.where, str(error), pin)
    if pin.kind.newest is crate:
        newest = ".".join(newest.split(".")[: pin.now.count(".") + 1])
    return Row(pin.name, pin.now, newest, pin.where, pin=pin)


def locked(requirements: str) -> dict[str, str]:
    """The versions of each package; there is more than one where the newest leaves out an older Python."""
    versions: dict[str, str] = {}
    for name, version in re.findall(r"^(\S+)==(\S+)", requirements, re.MULTILINE):
        versions[name] = f"{versions[name]}, {version}" if name in versions else version
    return versions


def python_rows() -> list[Row]:
    """The packages of requirements.txt that would be locked otherwise today."""
    with tempfile.TemporaryDirectory() as folder:
        newest = Path(folder) / "requirements.txt"
        try:
            output("uv", "--version")  # Make would not say as clearly that it is missing.
            output("make", "requirements", f"REQUIREMENTS={newest}")
        except LookupError as error:
            return [Row(PYTHON_PACKAGES, "as locked", None, REQUIREMENTS.name, str(error))]
        now, then = locked(REQUIREMENTS.read_text()), locked(newest.read_text())
    return [
        Row(name, now.get(name, "-"), then.get(name, "-"), REQUIREMENTS.name)
        for name in sorted({*now, *then})
        if now.get(name) != then.get(name)
    ]


def rows(names: Iterable[str]) -> list[Row]:
    """The rows of these names, or of all. Raises `ValueError` for a name that no pin has."""
    chosen, names = pins(), set(names)
    if unknown := names - {pin.name for pin in chosen} - {PYTHON_PACKAGES}:
        raise ValueError(f"no pin is called {', '.join(sorted(unknown))}")
    with ThreadPoolExecutor() as pool:
        python = pool.submit(python_rows) if not names or PYTHON_PACKAGES in names else None
        looked_up = list(pool.map(row, (pin for pin in chosen if not names or pin.name in names)))
        return looked_up + (python.result() if python else [])


def table(looked_up: list[Row]) -> str:
    """The rows in columns, and what they come to."""
    cells = [("pin", "now", "newest", "", "where")]
    for each in looked_up:
        state = "behind" if each.behind else ""
        now, newest = (
            re.sub(r"^(\w{7})\w{33} ", r"\1 ", text or "could not be looked up") for text in (each.now, each.newest)
        )
        cells.append((each.name, now, newest, state, each.where))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    lines += ["", f"Behind: {', '.join(dict.fromkeys(each.name for each in looked_up if each.behind)) or 'none'}"]
    reasons = {each.name: each.reason for each in looked_up if each.newest is None}
    lines += [f"Could not be looked up: {name}: {reason}" for name, reason in reasons.items()]
    return "\n".join(lines)


def move(looked_up: list[Row]) -> None:
    """Write the newest versions into the files, and lock what follows. Raises `subprocess.CalledProcessError`."""
    behind = [each for each in looked_up if each.behind]
    moved = [(each.pin, each.newest) for each in behind if each.pin]
    for pin, newest in sorted(moved, key=lambda one: one[0].start, reverse=True):  # The places before it stay right.
        text = pin.file.read_text()
        pin.file.write_text(text[: pin.start] + newest + text[pin.start + len(pin.now) :])
    workspace.nightly.cache_clear()
    follow = {each.pin.kind.lock if each.pin else lock_python for each in behind}
    for lock in dict.fromkeys(kind.lock for kind in KINDS if kind.lock in follow and kind.lock):
        lock()


def main() -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(prog="pins.py", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--move", action="store_true", help="write the newest versions into the files, and lock anew")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a pin as the table names it, or requirements.txt for the packages there; all, where none is named",
    )
    arguments = parser.parse_args()
    try:
        looked_up = rows(arguments.names)
        print(table(looked_up), flush=True)
        if arguments.move:
            move(looked_up)
    except ValueError as error:
        sys.exit(f"make pins: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"make pins: {' '.join(error.cmd)} failed; what is wrong stands above. To go back: git restore .")
    sys.exit(3 if any(each.newest is None for each in looked_up) else 0)


if __name__ == "__main__":
    main()
