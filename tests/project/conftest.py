"""Fixtures for tests that build projects with icp-cli."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.support import builds
from tests.support.git import commit
from tests.support.projects import DID, replace, run

PLAIN = f"""\
  - name: plain
    recipe:
      type: file://wasm64.hbs
      configuration:
        package: hello_backend
        candid: {DID}
        metadata: [{{ name: "hello:licence", value: "MIT: No Attribution # at all" }}]
"""


@pytest.fixture(scope="session")
def icp_project(committed: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed project with one more canister of the same package: `plain` has metadata, without shrink and gzip."""
    folder = shutil.copytree(committed(), tmp_path_factory.mktemp("icp") / "hello")
    replace(folder / "icp.yaml", "", PLAIN)
    commit(folder)
    return folder


@pytest.fixture(scope="session")
def artifacts(build, icp_project: Path) -> Path:
    """The folder with the modules that `icp build` made of the canisters of `icp_project`, by name."""
    builds.share_target(icp_project)
    run("icp build", icp_project)
    return icp_project / ".icp/cache/artifacts"
