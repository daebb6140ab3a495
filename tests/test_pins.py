"""`make pins`: every pin is known, a newer release is seen and moved to, and what could not be looked up is said."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pins
import pytest
from pins import KINDS, Kind, Pin, Row
from projects import git
from workspace import ROOT

A_VERSION = re.compile(r'\b[0-9a-f]{40}\b|\b\d{4}-\d\d-\d\d\b|\bv?\d+\.\d+\.\d+\b|(?<=")[=~^]?\d+\.\d+(?=")')
"""What a pin looks like."""
NO_PINS = {
    ("copier.yml", "9.19.1"): "the oldest Copier that is supported",
    ("pyproject.toml", "0.1.0"): "our own version",
    ("template/Cargo.toml.jinja", "0.10.22"): "what wasm64 needs",
    ("template/build.sh", "0.18.3"): "what wasm64 needs",
    ("template/Cargo.toml.jinja", "0.18.3"): "what wasm64 needs",
    ("template/src/{{ canister_name }}/Cargo.toml.jinja", "0.1.0"): "the canister's own version",
    ("tools/go/go.mod", "1.25.0"): "the oldest Go that will do",
    ("tools/native/Cargo.toml", "0.1.0"): "our own version",
    ("tools/workloads/Cargo.toml", "0.1.0"): "our own version",
    ("tools/workloads/Cargo.toml", "0.10"): "what the template's Cargo.lock has",
}
CHECKOUT = "actions/checkout"


def hides_pins(name: str) -> bool:
    """Whether a file has versions that are not written by hand, or that nothing installs: locks, code and prose."""
    return name.startswith(("docs/", "tests/")) or "lock" in name or name.endswith((".md", ".md.jinja", ".py", ".sum"))


def test_every_pin_in_the_repository_is_known() -> None:
    known = {(pin.file, start) for pin in pins.pins() for start in range(pin.start, pin.start + len(pin.now))}
    unknown = []
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        file = ROOT / name
        if hides_pins(name) or not file.is_file() or name == "requirements.txt":
            continue
        text = re.sub(
            r"^\t\S+ \S+ // indirect$", lambda line: line[0].replace(".", " "), file.read_text(), flags=re.MULTILINE
        )
        for match in A_VERSION.finditer(text):
            if (file, match.start()) not in known and (name, match[0]) not in NO_PINS:
                unknown.append(f"{name}: {match[0]}")
    assert not unknown, "add their kind to KINDS in tools/pins.py, or to NO_PINS here"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that have pins, and of the program, which looks at these instead of the repository's."""
    files = {pin.file for pin in pins.pins()} | {pins.REQUIREMENTS, ROOT / "tools/pins.py", ROOT / "tools/workspace.py"}
    for file in files:
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    monkeypatch.setattr(pins, "ROOT", tmp_path)
    monkeypatch.setattr(pins, "REQUIREMENTS", tmp_path / "requirements.txt")
    return tmp_path


def texts(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was done after a move, which is not really done."""
    done: list[str] = []
    names = {kind.lock.__name__ for kind in KINDS if kind.lock}
    locks = {name: partial(done.append, name) for name in names}
    kinds = tuple(replace(kind, lock=kind.lock and locks[kind.lock.__name__]) for kind in KINDS)
    monkeypatch.setattr(pins, "KINDS", kinds)
    monkeypatch.setattr(pins, "lock_python", locks["lock_python"])
    return done


def next_version(now: str) -> str:
    """The last number but one, the minor version or the month, is 100 higher, which takes more digits."""
    return re.sub(r"\d+(?=\D\d+$)", lambda number: f"{int(number[0]) + 100}", now)


def newer(pin: Pin) -> Row:
    return Row(pin.name, pin.now, next_version(pin.now), pin.where, pin=pin)


def test_a_move_changes_the_versions_that_are_behind_and_nothing_else(checkout: Path, followed: list[str]) -> None:
    before, found = texts(checkout), pins.pins()
    moves = [newer(pin) for pin in found if pin.name != CHECKOUT]
    pins.move([replace(newer(pin), newest=pin.now) for pin in found if pin.name == CHECKOUT] + moves)
    expected = dict(before)
    for row in moves:
        lines = expected[row.pin.file].split("\n")
        number = int(row.where.rpartition(":")[2]) - 1
        assert row.now in lines[number]
        lines[number] = lines[number].replace(row.now, row.newest)
        expected[row.pin.file] = "\n".join(lines)
    assert texts(checkout) == expected
    moved = [pin.now for pin in pins.pins()]
    assert moved == [pin.now if pin.name == CHECKOUT else next_version(pin.now) for pin in found]
    assert followed == list(dict.fromkeys(kind.lock.__name__ for kind in KINDS if kind.lock and has_pins(kind)))


def has_pins(kind: Kind) -> bool:
    return any((pin.kind.files, pin.kind.pattern) == (kind.files, kind.pattern) for pin in pins.pins())


@pytest.mark.parametrize(
    ("name", "lock"),
    [
        ("copier", "lock_python"),
        ("@icp-sdk/ic-wasm-linux-x64", "lock_npm"),
        ("nightly", "lock_template"),
        ("ic-cdk", "lock_template"),
        ("wasmparser", "lock_native"),
    ],
)
def test_the_lock_follows(checkout: Path, followed: list[str], name: str, lock: str) -> None:
    pins.move([newer(pin) for pin in pins.pins() if pin.name == name])
    assert followed == [lock]


def test_the_python_packages_are_locked_again_where_that_changes_them(checkout: Path, followed: list[str]) -> None:
    before = texts(checkout)
    pins.move([Row("ruff", "0.17.6", "0.18.0", "requirements.txt")])
    assert (texts(checkout), followed) == (before, ["lock_python"])


# The table


def answer(monkeypatch: pytest.MonkeyPatch, **answers: str) -> None:
    """Have each command, by its name, print this."""
    monkeypatch.setattr(pins, "output", lambda command, *_: answers[Path(command).name.replace("python3", "python")])


def state(name: str) -> str:
    """What the table says of a pin, between its name and its place."""
    pin = next(pin for pin in pins.pins() if pin.name == name)
    return re.split(r"  +", pins.table([pins.row(pin)]).splitlines()[1])[1:-1]


@pytest.mark.parametrize(
    ("newest", "said"),
    [
        ("99.0.0 (latest 99.1.0)", ["99.0.0", "behind"]),
        ("0.20.10", ["0.20.10", "behind"]),
        ("0.20.3", ["0.20.3"]),
        ("0.20.2", ["0.20.2"]),
        ("0.21.0-beta.1", ["could not be looked up"]),
        ("none", ["could not be looked up"]),
    ],
)
def test_a_crate_is_behind_its_newest_release(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, newest: str, said: list[str]
) -> None:
    manifest = checkout / "template/Cargo.toml.jinja"
    manifest.write_text(re.sub(r'^ic-cdk = "=.*"', 'ic-cdk = "=0.20.3"', manifest.read_text(), flags=re.MULTILINE))
    answer(monkeypatch, rustup=f"ic-cdk #wasm\nversion: {newest}\nrust-version: 1.88.0\n")
    assert state("ic-cdk") == ["0.20.3", *said]
    assert pins.order("0.20.3") < pins.order("0.20.10")


@pytest.mark.parametrize(("newest", "said"), [("0.263.9", ["0.263"]), ("0.264.0", ["0.264", "behind"])])
def test_a_pin_of_two_numbers_is_compared_in_two(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, newest: str, said: list[str]
) -> None:
    manifest = checkout / "tools/native/Cargo.toml"
    manifest.write_text('[package]\nversion = "0.1.0"\n\n[dependencies]\nwasmparser = { version = "0.263" }\n')
    answer(monkeypatch, rustup=f"version: {newest}\n")
    assert state("wasmparser") == ["0.263", *said]


def test_an_action_moves_to_the_commit_of_its_newest_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    old, tag, commit, beta = (digit * 40 for digit in "abcd")
    tags = [f"{old}\trefs/tags/v6.9.0", f"{tag}\trefs/tags/v6.10.0", f"{commit}\trefs/tags/v6.10.0^{{}}"]
    tags += [f"{beta}\trefs/tags/v7.0.0-beta", f"{beta}\trefs/tags/v6", f"{beta}\trefs/tags/latest"]
    answer(monkeypatch, git="\n".join(tags))
    assert pins.action("actions/cache/restore") == f"{commit} # v6.10.0"
    answer(monkeypatch, git=f"{beta}\trefs/tags/v6\n")
    with pytest.raises(LookupError, match="no tag is a version"):
        pins.action("actions/cache/restore")


def test_a_dated_nightly_is_the_newest_that_has_the_components(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, rustup="Default host: x86_64-unknown-linux-gnu\nrustup home:  /home/me/.rustup\n")
    monkeypatch.setenv("RUSTUP_DIST_SERVER", tmp_path.as_uri())
    manifest = ['date = "2026-12-24"', "[renames.clippy]", 'to = "clippy-preview"']
    for component in ("rustc", "cargo", "rust-std", "rustfmt", "clippy-preview"):
        manifest += [f"[pkg.{component}.target.x86_64-unknown-linux-gnu]", "available = true"]
    manifest += ['[pkg.rust-src.target."*"]', "available = true"]
    (tmp_path / "dist").mkdir()
    channel = tmp_path / "dist/channel-rust-nightly.toml"
    channel.write_text("\n".join(manifest))
    assert pins.nightly("nightly") == "2026-12-24"
    for missing in ("clippy-preview", "rust-src"):
        lacks = manifest.index(next(line for line in manifest if line.startswith(f"[pkg.{missing}."))) + 1
        channel.write_text("\n".join([*manifest[:lacks], "available = false", *manifest[lacks + 1 :]]))
        with pytest.raises(LookupError, match=f"2026-12-24 has no {missing.removesuffix('-preview')} for x86_64"):
            pins.nightly("nightly")


def test_packages_of_the_other_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, python="copier (9.20.0)\nAvailable versions: 9.20.0, 9.19.1\n", npm="1.6.0\n", go="v1.8.0\n")
    monkeypatch.setattr(sys, "executable", "python")
    assert pins.python_package("copier") == "9.20.0"
    assert pins.npm_package("@icp-sdk/icp-cli-linux-x64") == "1.6.0"
    assert pins.go_module("github.com/rhysd/actionlint") == "v1.8.0"


def test_what_would_be_locked_otherwise_has_a_row(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins.REQUIREMENTS.write_text("numpy==2.4.6 ; a \\\nnumpy==2.5.5 ; b \\\nruff==0.17.6 \\\nsix==1.17.0 \\\n")

    def compiled(command: str, *arguments: str) -> str:
        if command == "make":
            newest = "attrs==26.1.0 \\\nnumpy==2.4.6 ; a \\\nnumpy==2.6.0 ; b \\\nruff==0.17.6 \\\n"
            Path(arguments[-1].removeprefix("REQUIREMENTS=")).write_text(newest)
        return ""

    monkeypatch.setattr(pins, "output", compiled)
    found = [(row.name, row.now, row.newest) for row in pins.python_rows()]
    assert found == [("attrs", "-", "26.1.0"), ("numpy", "2.4.6, 2.5.5", "2.4.6, 2.6.0"), ("six", "1.17.0", "-")]


NOWHERE = "http://127.0.0.1:1"


def test_without_a_network_no_pin_is_called_current_and_none_moves(checkout: Path, tmp_path_factory) -> None:
    before = texts(checkout)
    offline = {"PATH": str(tmp_path_factory.mktemp("bin")), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    offline |= {"RUSTUP_DIST_SERVER": NOWHERE, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "tools/pins.py", "--move"]
    result = subprocess.run(
        command, cwd=checkout, env=os.environ | offline, text=True, capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (3, "")
    rows, _, reasons = result.stdout.partition("\n\nBehind: none\n")
    _, *lines = rows.splitlines()
    assert len(lines) == len(pins.pins()) + 1
    assert all("  could not be looked up  " in line for line in lines), rows
    for name in {*(pin.name for pin in pins.pins()), "requirements.txt"}:
        assert f"Could not be looked up: {name}: " in reasons
    assert "requirements.txt: uv is not installed" in reasons
    assert texts(checkout) == before


def test_a_name_that_no_pin_has_is_refused(checkout: Path) -> None:
    with pytest.raises(ValueError, match="no pin is called candied"):
        pins.rows(["candied", "candid"])


def test_a_lock_that_fails_is_one_sentence(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pins, "KINDS", tuple(replace(kind, newest=lambda _: "99.0.0") for kind in KINDS))
    monkeypatch.setattr(sys, "argv", ["pins.py", "--move", "ic-cdk"])
    (checkout / "Makefile").write_text("lock:\n\t@false\n")
    with pytest.raises(SystemExit) as exit_:
        pins.main()
    assert exit_.value.code == "make pins: make lock failed; what is wrong stands above. To go back: git restore ."
    assert "ic-cdk" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("moving", "benchmark", "testing", "done", "status"),
    [
        (0, 0, 0, ["docs", "picture", "test"], 0),
        (0, 1, 0, ["bench", "docs", "picture", "test"], 0),
        (3, 0, 0, ["docs", "picture", "test"], 3),
        (1, 0, 0, [], 1),
        (0, 0, 1, ["docs", "picture", "test"], 2),
    ],
    ids=["moved", "with the benchmark out of date", "some not looked up", "not moved", "the tests fail"],
)
def test_make_pins_ends_in_the_tests(
    tmp_path: Path, moving: int, benchmark: int, testing: int, done: list[str], status: int
) -> None:
    makefile = (ROOT / "Makefile").read_text()
    (tmp_path / "Makefile").write_text(
        f"{makefile}\n\nbench docs picture test:\n\t@echo done: $@; [ $@ != test ] || exit {testing}\n"
    )
    for name, script in {
        "tools/setup.sh": "",
        ".venv/bin/python": f'case "$*" in *pins.py*--move*ic-cdk*) exit {moving} ;; *test_bench.py) exit {benchmark} ;; esac',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    command = ["make", "--no-print-directory", "pins", "PINS=ic-cdk"]
    result = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert re.findall(r"^done: (.*)$", result.stdout, re.MULTILINE) == done
    assert (result.returncode == 0, f"Error {status}" in result.stderr) == (status == 0, status != 0)
