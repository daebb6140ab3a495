"""The workflows of a project: their own steps pass, notice each fault, and open an issue for a newer template."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.workspace import ROOT, copy_template, render
from tests.conftest import Project
from tests.support import builds
from tests.support.git import commit
from tests.support.projects import DID, LIB, WASM, replace, run

BIN = Path(sys.executable).parent
CI, TEMPLATE = ".github/workflows/ci.yml", ".github/workflows/template.yml"
BUILD = "Build what is deployed, with its size and hash in the summary"
STEPS = [
    "No conflict left by an update",
    "Install the pinned nightly",
    "Cargo.lock is up to date",
    "Formatting",
    "Lints on the host",
    "Lints for wasm64",
    "Tests",
    "Install icp-cli and ic-wasm",
    BUILD,
]
WITHOUT_ICP = [*STEPS[:-2], "Build, with size and hash in the summary"]
INSTALLED = ("rustup toolchain install", "npm install ")
"""The first words of the steps that install programs which the tests already have."""
CONFLICT = "before\n<<<<<<< before updating\nmine\n=======\nthe template's\n>>>>>>> after updating\n"


def read(project: Path, workflow: str) -> dict:
    """Return a workflow of a project. Its `on` is the key True, as YAML reads `on` as a yes."""
    return yaml.safe_load((project / workflow).read_text())


def steps(project: Path, workflow: str) -> dict[str, dict]:
    """Return the steps of the only job of a workflow that run commands, by name."""
    (job,) = read(project, workflow)["jobs"].values()
    return {step.get("name", ""): step for step in job["steps"] if "run" in step}


def run_step(step: dict, project: Path, folder: Path, **environment: str) -> tuple[bool, str]:
    """Run a step as GitHub does, without installing anything. Return whether it passes, and its output.

    `folder` takes the files that GitHub keeps outside the project. An expression such as `${{ github.token }}` becomes its
    own text.
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
    of_ci = steps(folder, CI)
    assert list(of_ci) == (STEPS if icp_cli else WITHOUT_ICP)
    for name, step in of_ci.items():
        passes, output = run_step(step, folder, tmp_path)
        assert passes, f"{name}\n{output}"
    module = (folder / (".icp/cache/artifacts/hello_backend" if icp_cli else WASM)).read_bytes()
    summary = (tmp_path / "summary.md").read_text()
    assert str(len(module)) in summary and hashlib.sha256(module).hexdigest() in summary
    (upload,) = [step["with"] for step in read(folder, CI)["jobs"]["canister"]["steps"] if "with" in step][-1:]
    kept = folder.glob(upload["path"] + ("/*" if icp_cli else ""))
    assert module in [path.read_bytes() for path in kept]


def added(code: str) -> tuple[str, str]:
    """Return a text of lib.rs, and the same text with code before it."""
    tests = "\n#[cfg(test)]\nmod tests"
    return tests, f"\n{code}\n{tests}"


FAULTS = {
    "Cargo.lock is up to date": (
        "src/hello_backend/Cargo.toml",
        ("\ncandid.workspace = true", '\ncandid.workspace = true\nserde = "1"'),
        "::error file=Cargo.lock::Build the project",
    ),
    "Formatting": (LIB, ("fn greet(name", "fn greet( name"), "-fn greet( name"),
    "Lints on the host": (
        LIB,
        ("assert!(greet(", "assert_eq!(greet(String::new()).is_empty(), false);\n        assert!(greet("),
        "`-D clippy::bool-assert-comparison` implied",
    ),
    "Lints for wasm64": (
        LIB,
        added('#[cfg(target_arch = "wasm64")]\npub fn is_no_name(name: &str) -> bool {\n    name.len() == 0\n}'),
        "`-D clippy::len-zero` implied",
    ),
    "Tests": (DID, ("greet : (text)", "greet : (nat)"), ": expect test failed"),
    BUILD: (LIB, added("#[cfg(not(debug_assertions))]\npub const HEAP: usize = gib;"), "cannot find value `gib`"),
}
"""For each step of ci.yml that compiles: a file, a text in it and what becomes of it, and what the step says to that."""


@pytest.mark.parametrize("name", FAULTS)
def test_ci_fails_at_the_step_for_a_fault(project: Project, build, tmp_path: Path, name: str) -> None:
    file, change, message = FAULTS[name]
    folder = project()
    replace(folder / file, *change)
    builds.share_target(folder)
    step = steps(folder, CI)[name]
    passes, output = run_step(step, folder, tmp_path, UPDATE_EXPECT="1")  # It must not write the .did file.
    assert not passes
    assert message in output


@pytest.mark.parametrize(
    ("file", "text", "is_clean"),
    [
        (LIB, CONFLICT, False),
        ("README.md", CONFLICT, False),
        ("build.sh.rej", "", False),
        ("notes.md", "Title\n=======\n<<<<<<<< eight\n  >>>>>>> quoted\n", True),
    ],
)
def test_ci_names_a_committed_conflict(project: Project, tmp_path: Path, file: str, text: str, is_clean: bool) -> None:
    folder = project()
    (folder / file).write_text(text)
    commit(folder)
    passes, output = run_step(steps(folder, CI)["No conflict left by an update"], folder, tmp_path)
    assert passes == is_clean
    assert (file in output and "::error::Keep what is right" in output) != is_clean


def test_ci_checks_a_change_once(rendered: Project) -> None:
    """A push to the branch of a pull request must not start a second run."""
    assert read(rendered(), CI)[True] == {"push": {"branches": ["main", "master"]}, "pull_request": None}


# template.yml

OPEN, CLOSED = "OPEN", "CLOSED"
TITLE = "The template is at version "
VERSION = "1.0.10"
GH = """\
#!/bin/sh
echo "$*" >>"$GH_LOG"
case "$GH_ISSUES $*" in
  "none issue"*) echo "the repository has disabled issues" >&2; exit 1 ;;
  *"issue list --state all"*) cat "$GH_ISSUES" ;;
esac
"""
"""A replacement for `gh`: records its arguments, and lists the issues in the file GH_ISSUES as `gh` does to a pipe."""
Issue = tuple[int, str, str]


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a template at v1.0.10, a project of the commit before, and the programs of a runner in `bin`."""
    folder = tmp_path_factory.mktemp("behind")
    template = copy_template(folder / "template.git")
    commit(template)
    commit(render(template, folder / "hello"))
    (template / "news.md").touch()
    commit(template, f"v{VERSION}")
    (folder / "bin").mkdir()
    # What the real Copier says of this project is asked once, because it takes seconds.
    (folder / "said").write_text(run("copier check-update --output-format json", folder / "hello"))
    copier = f'[ "$PWD" = "{folder}/hello" ] && exec cat "{folder}/said"\nexec "{BIN}/copier" "$@"\n'
    for name, text in {"gh": GH, "pipx": "#!/bin/sh\n", "copier": f"#!/bin/sh\n{copier}"}.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    return folder


def look(folder: Path, project: Path, tmp_path: Path, issues: list[Issue] | None) -> tuple[bool, list[str], str]:
    """Run template.yml in a project whose repository has these issues. `None` means that issues are disabled.

    Return whether it passes, what it lets `gh` do except for listing issues, and its output.
    """
    listed, log = tmp_path / "issues", tmp_path / "log"
    lines = [f"{number}\t{state}\t{title}\t\t2026-11-26\n" for number, state, title in issues or []]
    listed.write_text("".join(lines))
    log.touch()
    environment = {"GH_ISSUES": "none" if issues is None else str(listed), "GH_LOG": str(log)}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    passes, output = run_step(steps(project, TEMPLATE)[""], project, tmp_path, PATH=path, **environment)
    return passes, [line for line in log.read_text().splitlines() if " list " not in line], output


CREATE = f"issue create --title {TITLE}{VERSION} --body Run `copier update --defaults`. "
REACTIONS: dict[str, tuple[list[Issue] | None, list[str]]] = {
    "a newer version opens an issue": ([], [CREATE]),
    "an open issue is enough": ([(7, OPEN, TITLE + VERSION)], []),
    "a closed issue is enough": ([(7, CLOSED, TITLE + VERSION)], []),
    "a newer version closes the issues of older ones": (
        [(9, OPEN, "Mine"), (8, OPEN, f"{TITLE}1.0.1"), (7, CLOSED, f"{TITLE}{VERSION}rc1")],
        ["issue close 8", CREATE],
    ),
    "a repository without issues gets none": (None, []),
}
"""The issues of a repository whose project is behind, and what becomes of them."""


@pytest.mark.parametrize(("issues", "expected"), REACTIONS.values(), ids=REACTIONS)
def test_each_newer_template_gets_one_issue(
    behind: Path, tmp_path: Path, issues: list[Issue] | None, expected: list[str]
) -> None:
    passes, done, output = look(behind, behind / "hello", tmp_path, issues)
    assert passes, output
    assert len(done) == len(expected)
    assert all(line.startswith(start) for line, start in zip(done, expected, strict=True))


def test_an_updated_project_needs_no_issue(behind: Path, tmp_path: Path) -> None:
    project = shutil.copytree(behind / "hello", tmp_path / "hello")
    answers = project / ".copier-answers.yml"
    answers.write_text(re.sub("_commit: .*", f"_commit: v{VERSION}", answers.read_text()))
    issues = [(8, OPEN, TITLE + VERSION), (7, CLOSED, f"{TITLE}0.9.0"), (6, OPEN, "Mine")]
    passes, done, output = look(behind, project, tmp_path, issues)
    assert (passes, done) == (True, ["issue close 8"]), output


def test_an_unreadable_template_fails_with_advice(behind: Path, tmp_path: Path) -> None:
    project = shutil.copytree(behind / "hello", tmp_path / "hello")
    replace(project / ".copier-answers.yml", str(behind / "template.git"), "/home/someone/template")
    passes, done, output = look(behind, project, tmp_path, [])
    assert (passes, done) == (False, [])
    assert "::error::Write an address that GitHub can read into .copier-answers.yml as _src_path, or delete" in output


# Both


def test_workflows_may_do_only_what_they_need(rendered: Project) -> None:
    ci, template = (read(rendered(), workflow) for workflow in (CI, TEMPLATE))
    assert ci["permissions"] == {"contents": "read"}
    assert template["permissions"] == {}
    (job,) = template["jobs"].values()
    assert job["permissions"] == {"contents": "read", "issues": "write"}


def test_workflows_install_the_versions_that_are_tested(rendered: Project) -> None:
    (copier,) = re.findall(r"^copier==\S+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    npm = json.loads((ROOT / "scripts/npm/package.json").read_text())["dependencies"]
    tools = {f"{name.removesuffix('-linux-x64')}@{version}" for name, version in npm.items()}
    assert f"pipx install {copier}\n" in steps(rendered(), TEMPLATE)[""]["run"]
    assert set(steps(rendered(), CI)["Install icp-cli and ic-wasm"]["run"].split()) == {"npm", "install", "-g", *tools}
