"""Shared fixtures: the template, its versions, generated projects, built modules."""

import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import copier
import pytest

from scripts.workspace import ROOT, copy_template, search_path
from tests.support import builds
from tests.support.git import commit, git
from tests.support.next_version import change_each_file
from tests.support.projects import check_answers, run
from tests.support.updates import NEWEST, NEXT

RELEASES = sorted(path.name.removesuffix(".tar.gz") for path in (ROOT / "tests/releases").glob("*.tar.gz"))
"""The released versions of the template, whose files are archives in tests/releases."""
Project = Callable[..., Path]
"""A function of answers that returns a generated project."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let two workers run the tests that build. Builds in one folder wait for each other.

    The second worker starts with the tests of PocketIC, while the first compiles the standard library.
    """
    items.sort(key=lambda item: "test_pocket_ic" not in item.nodeid)
    for item in items:
        fixtures = getattr(item, "fixturenames", [])
        if "build" in fixtures:
            item.add_marker(pytest.mark.rust)
            if not item.get_closest_marker("xdist_group"):
                item.add_marker(pytest.mark.xdist_group("build too" if "icp_project" in fixtures else "build"))


@pytest.fixture(scope="session", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the settings of the person who runs the tests from Copier, git, cargo and icp."""
    home = tmp_path_factory.mktemp("settings")
    (home / "settings.yml").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "owner")
            patch.setenv(f"GIT_{role}_EMAIL", "owner@example.org")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_TEMPLATE_DIR", "")  # No sample hooks in the many repositories of the tests.
        patch.setenv("COPIER_SETTINGS_PATH", str(home / "settings.yml"))
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("DO_NOT_TRACK", "1")
        patch.setenv("CARGO_PROFILE_DEV_DEBUG", "0")  # Programs for this machine compile sooner.
        patch.setenv("PATH", search_path())
        for name in ("RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "UPDATE_EXPECT"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as it is in the work tree, in a folder without git."""
    return copy_template(tmp_path_factory.mktemp("template") / "template")


def extract(release: str, folder: Path) -> Path:
    """Extract the files of a release to a folder, and return the folder."""
    with tarfile.open(ROOT / f"tests/releases/{release}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with a tag for each release, for the work tree (`NEWEST`), and for a later version (`NEXT`)."""
    folder = tmp_path_factory.mktemp("repository") / "template"
    folder.mkdir()
    for release in RELEASES:
        commit(extract(release, folder), f"v{release}")
        git(folder, "rm", "-r", "--quiet", ".")
    copy_template(folder)
    commit(folder, NEWEST)
    change_each_file(folder / "template")
    commit(folder, NEXT)
    git(folder, "gc", "--quiet", "--prune=now")  # Copier clones the repository some four times an update.
    return folder


@pytest.fixture(scope="session")
def rendered(copie_session, template: Path) -> Project:
    """`rendered(**answers)` is a project in a folder `hello`, made once for all tests: do not change it."""

    @cache
    def rendered(**answers: str | bool) -> Path:
        check_answers(answers)
        done = copie_session.copy(template_dir=template, extra_answers={"project_name": "hello"} | answers)
        assert done.exit_code == 0, done.exception
        return done.project_dir

    return rendered


@pytest.fixture(scope="session")
def committed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """`committed(version, **answers)` is a committed project in a folder `hello`, made once: do not change it."""

    @cache
    def committed(version: str = NEWEST, **answers: str | bool) -> Path:
        check_answers(answers)
        folder = tmp_path_factory.mktemp("committed") / "hello"
        copier.run_copy(str(repository), folder, answers, vcs_ref=version, defaults=True, quiet=True, unsafe=False)
        commit(folder)
        return folder

    return committed


@pytest.fixture
def project(committed: Project, tmp_path: Path) -> Project:
    """`project(version, **answers)` copies a project of `committed` to `tmp_path / "hello"`, for one test to change."""
    return lambda *version, **answers: shutil.copytree(committed(*version, **answers), tmp_path / "hello")


@pytest.fixture(scope="session")
def build() -> Callable[..., object]:
    """`build(project, *args, **environment)` runs build.sh and returns the completed process.

    Each test that builds must use this fixture or one that uses it, also if the test runs cargo or icp itself: see
    `pytest_collection_modifyitems`.
    """
    return builds.build


@pytest.fixture(scope="session")
def module(build, rendered: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module of a project with the default answers, built with the command in dfx.json."""
    folder = shutil.copytree(rendered(), tmp_path_factory.mktemp("module") / "hello")
    dfx = json.loads((folder / "dfx.json").read_text())["canisters"]["hello_backend"]
    builds.share_target(folder)
    (folder / dfx["wasm"]).unlink(missing_ok=True)  # Another project may have left it in the shared target folder.
    run(dfx["build"], folder)
    return Path(shutil.copy(folder / dfx["wasm"], folder.parent))
