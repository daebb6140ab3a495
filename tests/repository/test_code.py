"""The code of this repository and of projects passes linters, formatters and the type checker: `make check`."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts.workspace import ROOT, nightly, render
from tests.support.projects import YES_NO

RUST = ["runtime/helper/src/main.rs", "scripts/workloads/src/lib.rs"]
RUSTFMT = ["rustup", "run", nightly(), "rustfmt", "--edition=2024", "--check", *RUST]


def complaints(*command: str | Path, text: str = "") -> str:
    """Run a command with `text` as its input and return its output, or "" if it succeeds."""
    done = subprocess.run(command, cwd=ROOT, input=text, text=True, capture_output=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["pyrefly", "check"],
        ["shellcheck", "scripts/setup.sh", ".ci/run"],
        pytest.param(RUSTFMT, marks=pytest.mark.rust),
    ],
    ids=" ".join,
)
def test_code_passes_the_check(command: list[str]) -> None:
    assert not complaints(*command)


def lint_workflows(folder: Path) -> None:
    """Fail if a workflow of a project is invalid or unsafe, or if shellcheck finds a fault in its commands."""
    workflows = sorted((folder / ".github/workflows").glob("*.yml"))
    assert workflows
    assert not complaints("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    strict = ["--no-config", "--persona=pedantic", "--min-severity=medium"]
    assert not complaints("zizmor", "--offline", "--quiet", *strict, *workflows)
    for workflow in workflows:
        for job in yaml.safe_load(workflow.read_text())["jobs"].values():
            for step in [step for step in job["steps"] if "run" in step]:
                lines = ["set -e", *(f"export {name}=" for name in step.get("env", {})), step["run"]]
                assert not complaints("shellcheck", "--shell=bash", "-", text="\n".join(lines)), workflow
            outputs = set(re.findall(r"\bsteps\.([\w-]+)\.", yaml.safe_dump(job)))
            assert outputs <= {step.get("id") for step in job["steps"]}, f"{workflow}: {outputs}"


def test_workflows_of_this_repository_have_no_faults() -> None:
    lint_workflows(ROOT)


@pytest.mark.parametrize("answers", [dict.fromkeys(YES_NO, True), dict.fromkeys(YES_NO, False), {"existing": True}])
def test_a_projects_script_and_workflows_have_no_faults(template: Path, tmp_path: Path, answers: dict) -> None:
    if "existing" in answers:
        (tmp_path / "Cargo.toml").touch()
    lint_workflows(render(template, tmp_path, **answers | {"github_actions": True}))
    assert not complaints("shellcheck", tmp_path / "build.sh")
