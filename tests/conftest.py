"""What the promises are tried on: a snapshot of the template, projects rendered from it, modules built from those."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import copier
import jinja2
import pytest
import workspace
import yaml
from projects import NEWEST, NEXT, NEXT_VERSION, QUESTIONS, check_answers, commit, git, replace
from workspace import ROOT, TARGET_DIR

RELEASES: dict[str, str] = yaml.safe_load((ROOT / "tests/releases.yml").read_text()) or {}
"""The commit of each release, by version, in order."""
FILES = {
    ".copier-answers.yml",
    ".github/workflows/ci.yml",
    ".github/workflows/template.yml",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "build.sh",
    "dfx.json",
    "icp.yaml",
    "rust-toolchain.toml",
    "wasm64.hbs",
    "src/hello_backend/Cargo.toml",
    "src/hello_backend/hello_backend.did",
    "src/hello_backend/src/lib.rs",
    "src/hello_backend/src/timers.rs",
}
"""What is generated with the default answers for a folder `hello`."""
LIGHT = {
    f"test_{name}.py"
    for name in (
        *("add_a_canister", "adoption", "adversarial", "build", "grown", "messages", "more_than_4_gib", "pocket_ic"),
        *("readme", "site", "tutorial", "wasm32", "workflow"),
    )
}
"""Those that look at what a canister does and not at its bytes: they build at the same time as the others, each module into a
folder of its own and with less optimizing, but of the same crates, compiled once."""
LESS_OPTIMIZED = f"""\
[build]
build-dir = {str(TARGET_DIR)!r}

[profile.release.package.hello_backend]
opt-level = 0
"""
"""Of linking, which optimizes all that the canister calls."""
Generate = Callable[..., Path]


def pytest_report_header() -> str:
    program = os.environ.get("POCKET_IC_BIN")
    return f"canister tests on: wasmtime{f', PocketIC ({program})' if program else '; POCKET_IC_BIN names no PocketIC'}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests that build canisters two workers: each has a target folder, and what the fixtures built there."""
    for item in items:
        builds = item.path.name != "test_runtime.py" or "module" in item.fixturenames
        if item.get_closest_marker("rust") and builds:
            item.add_marker(pytest.mark.xdist_group("light" if item.path.name in LIGHT else "rust"))


@pytest.fixture(scope="module", autouse=True)
def light(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For the LIGHT ones, a target folder of their own, and cargo's settings above all their projects."""
    global target_dir
    cargos = tmp_path_factory.getbasetemp() / ".cargo/config.toml"
    if request.path.name in LIGHT:
        target_dir = TARGET_DIR / "light"
        cargos.parent.mkdir(exist_ok=True)
        cargos.write_text(LESS_OPTIMIZED)
    yield
    target_dir = TARGET_DIR
    cargos.unlink(missing_ok=True)


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> None:
    """Have Jinja compile each text once in a run, not anew for each of the some five environments of an update."""
    compile_anew = jinja2.Environment.compile
    compiled: dict[tuple[object, ...], object] = {}

    def compile_once(self: jinja2.Environment, source: object, name: object = None, *args: object, **kwargs: object):
        if not isinstance(source, str):
            return compile_anew(self, source, name, *args, **kwargs)
        options = (self.trim_blocks, self.lstrip_blocks, self.undefined, type(self), *self.extensions)
        key = (source, name, *options, *kwargs.items())
        if key not in compiled:
            compiled[key] = compile_anew(self, source, name, *args, **kwargs)
        return compiled[key]

    jinja2.Environment.compile = compile_once


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the settings of whoever runs the tests out of Copier, git, cargo and icp."""
    settings = tmp_path_factory.mktemp("settings") / "settings.yml"
    settings.write_text("{}")
    identity = {
        f"GIT_{role}_{key}": "owner@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")
    }
    os.environ |= {"COPIER_SETTINGS_PATH": str(settings), "GIT_CONFIG_GLOBAL": os.devnull, **identity}
    os.environ |= workspace.NO_DEBUG_INFO | {"PATH": workspace.search_path(), "DO_NOT_TRACK": "1"}
    os.environ |= {name: str(settings.with_name(name)) for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    os.environ["GIT_TEMPLATE_DIR"] = ""  # Repositories without sample hooks, of which the tests make hundreds.
    for name in ("RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the work tree's files, uncommitted ones too, without git: Copier renders it in half the time."""
    folder = tmp_path_factory.mktemp("template")
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        source, copy = ROOT / name, folder / name
        if name and source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    return folder


def known(released: str) -> str:
    """The commit of a release, if this clone has it."""
    command = ["git", "cat-file", "-e", f"{released}^{{commit}}"]
    missing = subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode
    assert not missing, f"The release {released} is not in this clone. Fetch the history: git fetch --unshallow"
    return released


@pytest.fixture(scope="session")
def snapshot(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with each release, tagged as such, and what Copier reads of those files as version 9999.0.0."""
    folder = tmp_path_factory.mktemp("snapshot") / "template"
    git(ROOT, "clone", "--quiet", "--no-tags", "--no-checkout", str(ROOT), str(folder))
    for version, released in RELEASES.items():
        git(folder, "tag", f"v{version}", known(released))
    for name in ("includes", "template"):
        shutil.copytree(template / name, folder / name)
    shutil.copy(template / "copier.yml", folder)
    commit(folder, NEWEST)
    git(folder, "gc", "--quiet", "--prune=now")  # Copier clones it some four times an update: let that be one file.
    return folder


@pytest.fixture
def generate(copie, template: Path) -> Generate:
    """`generate(**answers)` renders a project with these answers, defaults for the rest, and returns its folder."""

    def generate(**answers: str | bool) -> Path:
        check_answers(answers)
        result = copie.copy(template_dir=template, extra_answers={"project_name": "hello"} | answers)
        assert result.exit_code == 0, result.exception
        return result.project_dir

    return generate


def copy(source: Path, destination: Path, overwrite: bool = False, **answers: str | bool) -> Path:
    """`copier copy --defaults --data ...` as a user would run it, without trust."""
    check_answers(answers)
    copier.run_copy(str(source), destination, answers, defaults=True, overwrite=overwrite, quiet=True, unsafe=False)
    return destination


def once(make: Generate) -> Generate:
    """`make`, called once for each target and set of answers; an answer that is the default counts as not given."""
    cached = cache(make)

    def call(*target: str, **answers: str | bool) -> Path:
        return cached(
            *target, **{name: value for name, value in answers.items() if value != QUESTIONS[name]["default"]}
        )

    return call


@pytest.fixture(scope="session")
def project(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Generate:
    """`project(**answers)` is a committed project whose target folder is the shared one, rendered once for all tests."""

    @once
    def project(**answers: str | bool) -> Path:
        folder = copy(snapshot, tmp_path_factory.mktemp("project") / "hello", **answers)
        share_target(folder)
        commit(folder)
        return folder

    return project


target_dir = TARGET_DIR
"""Where the projects of the test that is running are built."""


last_built: dict[tuple[Path, str], Path] = {}
"""The project that was built last in a target folder, for each manifest of its canister."""


def share_target(folder: Path) -> None:
    """Make the project in `folder` build into a target folder that the tests share."""
    target_dir.mkdir(parents=True, exist_ok=True)
    (folder / "target").symlink_to(target_dir)
    build_next(folder)


def build_next(folder: Path) -> None:
    """Call this before building a project: cargo takes the files of another with the same manifest, unless its sources are newer."""
    manifest = folder / "src/hello_backend/Cargo.toml"
    key = target_dir, manifest.read_text() if manifest.exists() else ""
    if last_built.get(key) != folder:
        last_built[key] = folder
        for source in [*folder.glob("src/**/*.rs"), *folder.glob("canisters/**/*.rs")]:
            source.touch()


def own_copy(project: Path, folder: Path) -> Path:
    """Copy a project that shares its target folder, for a test to change."""
    shutil.copytree(project, folder, symlinks=True)
    build_next(folder)
    return folder


def build(folder: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `bash build.sh ARGS` for the project in `folder`, from another folder."""
    build_next(folder)
    command = ["bash", str(folder / "build.sh"), *args]
    return subprocess.run(command, cwd="/", env=os.environ | environment, text=True, capture_output=True, check=False)


@pytest.fixture(scope="session")
def module(project: Generate, tmp_path_factory: pytest.TempPathFactory) -> Generate:
    """`module(**answers)` is what dfx.json's `build` makes of a project, `module("wasm32-...")` the same for a target."""

    @once
    def module(target: str | None = None, **answers: str | bool) -> Path:
        folder = project(**answers)
        dfx = json.loads((folder / "dfx.json").read_text())["canisters"]["hello_backend"]
        _, script, *args = dfx["build"].split()
        assert script == "build.sh"
        wasm = folder / (dfx["wasm"].replace("wasm64-unknown-unknown", target) if target else dfx["wasm"])
        wasm.unlink(missing_ok=True)  # Another project may have left it in the shared target folder.
        result = build(folder, *args, *([target] if target else []))
        assert result.returncode == 0, result.stderr
        return Path(shutil.copy(wasm, tmp_path_factory.mktemp("module")))

    return module


@pytest.fixture(scope="session", params=["PocketIC" if os.environ.get("POCKET_IC_BIN") else "stand-in"])
def server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PocketIC server: the program that POCKET_IC_BIN names, or else the stand-in in `pocket_ic_server.py`."""
    if program := os.environ.get("POCKET_IC_BIN"):
        return program
    program = tmp_path_factory.mktemp("server") / "pocket-ic"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/pocket_ic_server.py" "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture(scope="session")
def versions(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The snapshot, and as version 9999.1.0 a template that says something else in each file."""
    versions = shutil.copytree(snapshot, tmp_path_factory.mktemp("versions") / "template")
    for name, (old, new) in NEXT_VERSION.items():
        replace(versions / "template" / name, old, new)
    commit(versions, NEXT)
    return versions


@pytest.fixture(scope="session")
def fresh(versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Generate:
    """`fresh(version, **answers)` is what `copier copy --vcs-ref VERSION` writes, committed; made once, not to be changed."""

    @cache
    def fresh(version: str, **answers: str | bool) -> Path:
        check_answers(answers)
        folder = tmp_path_factory.mktemp("fresh") / "hello"
        copier.run_copy(str(versions), folder, answers, vcs_ref=version, defaults=True, quiet=True, unsafe=False)
        commit(folder)
        return folder

    return fresh


@pytest.fixture
def start(fresh: Generate, tmp_path: Path) -> Generate:
    """`start(version, **answers)` is such a project to work with."""
    return lambda version, **answers: shutil.copytree(fresh(version, **answers), tmp_path / "hello")
