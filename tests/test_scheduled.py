"""Copier: what the oldest supported version is, that it is tested, and what an older one says; the scheduled workflow."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from pins import order
from workspace import ROOT

OLDEST = yaml.safe_load((ROOT / "copier.yml").read_text())["_min_copier_version"]
JOBS = yaml.safe_load((ROOT / ".github/workflows/scheduled.yml").read_text())["jobs"]
JOB = JOBS["test"]
STEPS, ON_POCKET_IC = (
    {step["name"]: step for step in job["steps"] if "name" in step} for job in (JOB, JOBS["pocket-ic"])
)


def test_each_week_both_copiers_run_with_both_nightlies() -> None:
    matrix = {"copier": ["newest", "oldest"], "nightly": ["newest", "pinned"]}
    assert JOB["strategy"] == {"fail-fast": False, "matrix": matrix}
    assert list(STEPS) == ["Install Copier", "Move to the newest nightly", "Tests"]
    assert STEPS["Tests"]["run"] == "make test"


@pytest.mark.parametrize(("copier", "package"), [("newest", "copier"), ("oldest", f"copier=={OLDEST}")])
def test_the_oldest_copier_that_is_tested_is_the_one_that_copier_yml_supports(
    tmp_path: Path, copier: str, package: str
) -> None:
    shutil.copy(ROOT / "copier.yml", tmp_path)
    for program in ("tools/setup.sh", ".venv/bin/python"):
        (tmp_path / program).parent.mkdir(parents=True)
        (tmp_path / program).write_text('#!/bin/sh\necho "${0##*/} $*"\n')
        (tmp_path / program).chmod(0o755)
    said = in_a_checkout("Install Copier", tmp_path, COPIER=copier)
    assert said == f"setup.sh python\npython -m pip install --upgrade {package}\n"


def in_a_checkout(name: str, folder: Path, **environment: str) -> str:
    """What a step of the workflow prints."""
    command = ["bash", "-e", "-o", "pipefail", "-c", (STEPS | ON_POCKET_IC)[name]["run"]]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, text=True, stdout=subprocess.PIPE, check=True
    ).stdout


def test_the_pocketic_server_of_the_pinned_crate_is_downloaded(tmp_path: Path) -> None:
    (tmp_path / "curl").write_text('#!/bin/sh\necho "$*" | gzip\n')
    (tmp_path / "curl").chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "RUNNER_TEMP": str(tmp_path)}
    in_a_checkout("Download the server of the pinned crate", ROOT, GITHUB_ENV=str(tmp_path / "env"), **environment)
    _, _, program = (tmp_path / "env").read_text().strip().partition("POCKET_IC_BIN=")
    assert os.access(program, os.X_OK)
    manifest = (ROOT / "template/src/{{ canister_name }}/Cargo.toml.jinja").read_text()
    (pinned,) = re.findall(r'pocket-ic\]\nversion = "=(.+)"', manifest)
    releases = "https://github.com/dfinity/pocketic/releases/download"
    assert Path(program).read_text() == f"-fsSL {releases}/{pinned}/pocket-ic-x86_64-linux.gz\n"


def test_the_newest_nightly_leaves_out_what_was_made_with_the_pinned_one(request: pytest.FixtureRequest) -> None:
    assert STEPS["Move to the newest nightly"]["if"] == "matrix.nightly == 'newest'"
    move, options = STEPS["Move to the newest nightly"]["run"].splitlines()
    assert move == ".venv/bin/python tools/pins.py --move nightly"
    (marker,) = re.fullmatch(r"""echo "PYTEST_ADDOPTS=-m 'not (\w+)'" >>"\$GITHUB_ENV\"""", options).groups()
    assert [line for line in request.config.getini("markers") if line.startswith(f"{marker}: ")]


def test_everyday_tests_run_on_a_supported_copier() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (locked,) = [package.removeprefix("copier==") for package in packages if package.startswith("copier==")]
    assert order(locked) >= order(OLDEST)
    assert f"\ncopier=={locked} \\\n" in (ROOT / "requirements.txt").read_text()


def copier(template: Path, destination: Path, version: str) -> subprocess.CompletedProcess[str]:
    """`copier copy` by a Copier that takes itself for this version."""
    metadata = destination.with_name(f"copier-{version}.dist-info") / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: copier\nVersion: {version}\n")
    command = [sys.executable, "-m", "copier", "copy", "--defaults", str(template), str(destination)]
    environment = os.environ | {"PYTHONPATH": str(metadata.parent.parent)}
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)


def test_an_older_copier_is_refused_by_one_sentence(template: Path, tmp_path: Path) -> None:
    older = "9.0.0"
    result = copier(template, tmp_path / "hello", older)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"This template requires Copier version >= {OLDEST}, while your version of Copier is {older}."
    ]
    assert not (tmp_path / "hello").exists()


def test_the_oldest_copier_is_taken(template: Path, tmp_path: Path) -> None:
    assert copier(template, tmp_path / "hello", OLDEST).returncode == 0
    assert (tmp_path / "hello/build.sh").is_file()
