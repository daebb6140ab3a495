"""Fixtures for tests that build projects with icp-cli."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.support import builds
from tests.support.git import commit
from tests.support.projects import replace, run

PLAIN = """\
  - name: plain
    recipe:
      type: file://wasm64.hbs
      configuration:
        package: hello_icp
        candid: src/hello_icp/hello_icp.did
        metadata: [{ name: "hello:licence", value: "MIT: No Attribution # at all" }]
"""


@pytest.fixture(scope="session")
def icp_project(committed: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed project with a second canister of the same package: `plain` has metadata, and no shrink and no gzip.

    Other tests build at the same time, so the package has its own name.
    """
    folder = shutil.copytree(committed(canister_name="hello_icp"), tmp_path_factory.mktemp("icp") / "hello")
    replace(folder / "icp.yaml", "", PLAIN)
    commit(folder)
    return folder


@pytest.fixture(scope="session")
def artifacts(build, icp_project: Path) -> Path:
    """The folder in which `icp build` put the modules of `icp_project`. Each has its canister's name."""
    builds.share_target(icp_project)
    run("icp build", icp_project)
    return icp_project / ".icp/cache/artifacts"
