"""The workflows of a project: their steps pass, find each fault, and open an issue for a newer template."""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from scripts.workspace import ROOT
from tests.conftest import Project
from tests.support import builds
from tests.support.git import commit
from tests.support.projects import DID, LIB, WASM, replace
from tests.support.updates import NEWEST, NEXT

CI, TEMPLATE = ".github/workflows/ci.yml", ".github/workflows/template.yml"
INSTALLED = ("rustup toolchain install", "npm install ")
"""The first words of the steps that install programs which the tests already have."""
CONFLICT = "before\n<<<<<<< before updating\nmine\n=======\nthe template's\n>>>>>>> after updating\n"


def read(project: Path, workflow: str) -> dict:
    """Return a workflow of a project. Its `on` is the key True, because YAML reads `on` as a yes."""
    return yaml.safe_load((project / workflow).read_text())


def steps(project: Path, workflow: str) -> dict[str, dict]:
    """Return the steps with commands of a workflow's only job, by name."""
    (job,) = read(project, workflow)["jobs"].values()
    return {step.get("name", ""): step for step in job["steps"] if "run" in step}


def run_step(step: dict, project: Path, folder: Path, **environment: str) -> tuple[bool, str]:
    """Run a step as GitHub does, except installations. Return whether it passes, and its output.

    `folder` gets the files that GitHub keeps elsewhere. An expression such as `${{ github.token }}` stays text.
    """
    if step["run"].startswith(INSTALLED):
        return True, ""
    (folder / "step.sh").write_text(step["run"])
    given = {name: re.sub(r"\$\{\{ (.*?) \}\}", r"\1", value) for name, value in step.get("env", {}).items()}
    done = subprocess.run(
        ["bash", "-e", folder / "step.sh"],
        cwd=project,
        env=os.environ | {"GITHUB_STEP_SUMMARY": str(folder / "summary.md")} | given | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return not done.returncode, done.stdout


# ci.yml


@pytest.mark.parametrize("icp_cli", [True, False], ids=["with icp-cli", "without"])
def test_ci_passes_and_its_summary_has_the_hash(project: Project, build, tmp_path: Path, icp_cli: bool) -> None:
    folder = project(icp_cli=icp_cli, timers=icp_cli)
    builds.optimize_less(folder, "hello_backend")
    builds.share_target(folder)
    commit(folder)
    for name, step in steps(folder, CI).items():
        passes, output = run_step(step, folder, tmp_path)
        assert passes, f"{name}\n{output}"
    module = (folder / (".icp/cache/artifacts/hello_backend" if icp_cli else WASM)).read_bytes()
    summary = (tmp_path / "summary.md").read_text()
    assert str(len(module)) in summary and hashlib.sha256(module).hexdigest() in summary
    (upload,) = [step["with"] for step in read(folder, CI)["jobs"]["canister"]["steps"] if "with" in step][-1:]
    kept = folder.glob(upload["path"] + ("/*" if icp_cli else ""))
    assert module in [path.read_bytes() for path in kept]


ONLY_WASM64 = '#[cfg(target_arch = "wasm64")]\npub fn one() -> u8 {\n    return 1;\n}\n'
ONLY_RELEASE = "#[cfg(not(debug_assertions))]\npub const HEAP: usize = gib;\n"
FAULTS = {
    "Cargo.lock is up to date": ("src/hello_backend/Cargo.toml", "candid.w", 'serde = "1"\ncandid.w', "::error file="),
    "Formatting": (LIB, "fn greet(name", "fn greet( name", "-fn greet( name"),
    "Lints on the host": (LIB, '"ICP".into()', 'String::from("ICP").into()', "clippy::useless-conversion"),
    "Lints for wasm64": (LIB, "", ONLY_WASM64, "clippy::needless-return"),
    "Tests": (DID, "greet : (text)", "greet : (nat)", "expect test failed"),
    "Build the deployed module, with size and hash in the summary": (LIB, "", ONLY_RELEASE, "cannot find value `gib`"),
}
"""For a step of ci.yml: a file, a text in it (empty is its end), a replacement, and a part of the output."""


@pytest.mark.parametrize("name", FAULTS)
def test_ci_fails_at_the_step_for_a_fault(project: Project, build, tmp_path: Path, name: str) -> None:
    file, old, new, message = FAULTS[name]
    folder = project()
    replace(folder / file, old, new)
    builds.share_target(folder)
    step = steps(folder, CI)[name]
    passes, output = run_step(step, folder, tmp_path, UPDATE_EXPECT="1")  # It must not write the .did file.
    assert not passes
    assert message in output


def test_ci_names_a_committed_conflict(project: Project, tmp_path: Path) -> None:
    folder = project()
    step = steps(folder, CI)["No conflict from an update"]
    (folder / "notes.md").write_text("Title\n=======\n<<<<<<<< eight\n  >>>>>>> quoted\n")
    commit(folder)
    assert run_step(step, folder, tmp_path) == (True, "")
    for file, text in {"build.sh.rej": "", "README.md": CONFLICT}.items():
        (folder / file).write_text(text)
        commit(folder)
        passes, output = run_step(step, folder, tmp_path)
        assert not passes
        assert file in output and "::error::Resolve each conflict above" in output


# template.yml

ISSUES = """\
9\tOPEN\tMine\t\t2026-11-26
8\tOPEN\tThe template is at version 9999.0.0\t\t2026-11-26
7\tCLOSED\tThe template is at version 9999.1.0rc1\t\t2026-11-26
"""
"""The issues of a repository as `gh` lists them."""
GH = """\
#!/bin/bash
case "$*" in
  "issue list --state all "*) cat "$ISSUES" ;;
  "issue create --title "*) printf '10\\tOPEN\\t%s\\t%s\\n' "$4" "$6" >>"$ISSUES" ;;
  "issue close "*) sed -i.old "s/^\\($3.\\)OPEN/\\1CLOSED/" "$ISSUES" ;;
  *) exit 1 ;;
esac
"""
"""A program in place of `gh`. The file ISSUES has the issues. If it is missing, the repository has disabled issues."""


@pytest.fixture
def look(tmp_path: Path) -> Callable[[Path], tuple[bool, str]]:
    """`look(project)` runs template.yml with the issues in `tmp_path / "issues"`. See `run_step`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"gh": GH, "pipx": "#!/bin/sh\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {"ISSUES": str(tmp_path / "issues"), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    return lambda project: run_step(steps(project, TEMPLATE)[""], project, tmp_path, **environment)


def test_each_newer_template_gets_one_issue(project: Project, look, tmp_path: Path) -> None:
    folder, issues = project(NEWEST), tmp_path / "issues"
    assert look(folder)[0] and not issues.exists()  # Nobody can open an issue there.
    issues.write_text(ISSUES)
    assert look(folder)[0]
    opened = issues.read_text()
    old_closed = ISSUES.replace("8\tOPEN", "8\tCLOSED")
    assert opened.startswith(
        f"{old_closed}10\tOPEN\tThe template is at version 9999.1.0\tRun `copier update --defaults`. "
    )
    closed = opened.replace("10\tOPEN", "10\tCLOSED")
    for enough in (closed, opened):
        issues.write_text(enough)
        assert look(folder)[0] and issues.read_text() == enough

    replace(folder / ".copier-answers.yml", NEWEST, NEXT)  # As an update does.
    assert look(folder)[0] and issues.read_text() == closed


def test_an_unreadable_template_fails_with_advice(project: Project, repository: Path, look) -> None:
    folder = project()
    replace(folder / ".copier-answers.yml", str(repository), "/home/someone/template")
    passes, output = look(folder)
    assert not passes
    assert "::error::Set _src_path in .copier-answers.yml to a URL that GitHub can read, or delete" in output


# Both


def test_workflows_run_and_may_do_only_what_they_need(rendered: Project) -> None:
    """A push to the branch of a pull request must not start a second run of ci.yml."""
    ci, template = (read(rendered(), workflow) for workflow in (CI, TEMPLATE))
    assert ci[True] == {"push": {"branches": ["main", "master"]}, "pull_request": None}
    assert (ci["permissions"], template["permissions"]) == ({"contents": "read"}, {})
    assert template["jobs"]["newer-version"]["permissions"] == {"contents": "read", "issues": "write"}


def test_workflows_install_the_versions_that_are_tested(rendered: Project) -> None:
    (copier,) = re.findall(r"^copier==\S+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    npm = json.loads((ROOT / "scripts/npm/package.json").read_text())["dependencies"]
    tools = {f"{name.removesuffix('-linux-x64')}@{version}" for name, version in npm.items()}
    assert steps(rendered(), CI)["Install the pinned nightly"]["run"].startswith("rustup toolchain install\n")
    assert f"pipx install {copier}\n" in steps(rendered(), TEMPLATE)[""]["run"]
    assert set(steps(rendered(), CI)["Install icp-cli and ic-wasm"]["run"].split()) == {"npm", "install", "-g", *tools}
