"""The workflows: their own steps pass on what is generated, catch what is spoilt, and tell of a newer template."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Generate
from projects import LIB, NEWEST, NEXT, QUESTIONS, commit, git, replace, run

GO = ROOT / "tools/go/bin"
BIN = Path(sys.executable).parent
CI, TEMPLATE = ".github/workflows/ci.yml", ".github/workflows/template.yml"
MODULES = "target/wasm64-unknown-unknown/release/*.wasm"
STEPS = [
    "No conflict left by an update",
    "Install the pinned nightly",
    "Cargo.lock is up to date",
    "Formatting",
    "Lints on the host",
    "Lints for wasm64",
    "Tests",
    "Build",
    "Size and hash",
]
INSTALLED = ("rustup toolchain install", "pipx install ")
"""How the commands start that install what the tests have already."""
FAILED = "\nThe step failed."
CONFLICT = "before\n<<<<<<< before updating\nmine\n=======\nthe template's\n>>>>>>> after updating\n"
LINT = "pub fn is_no_name(name: &str) -> bool {\n    name.len() == 0\n}"
ON_WASM = '#[cfg(target_family = "wasm")]'


def steps(project: Path, workflow: str) -> list[dict]:
    """The steps of the only job of a workflow."""
    (job,) = yaml.safe_load((project / workflow).read_text())["jobs"].values()
    return job["steps"]


def run_steps(project: Path, workflow: str, folder: Path, **environment: str) -> dict[str, str]:
    """Run the `run` steps of a workflow, up to the first that fails, and return what each printed, by name.

    `folder` takes what GitHub keeps outside the project; what an earlier run left there goes. See `run_step`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    printed: dict[str, str] = {}
    for step in steps(project, workflow):
        if "run" in step and FAILED not in "".join(printed.values()):
            printed[step["name"]] = run_step(step, project, folder, **environment)
    return printed


def run_step(step: dict, project: Path, folder: Path, **environment: str) -> str:
    """Run a step as GitHub does, and return what it printed, which ends in `FAILED` if it failed.

    What it would install is here. GitHub's own values are their names.
    """
    if step["run"].startswith(INSTALLED):
        return ""
    script = folder / "step.sh"
    script.write_text(step["run"])
    environment |= {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    environment |= {name: re.sub(r"\$\{\{ (.*?) \}\}", r"\1", value) for name, value in step.get("env", {}).items()}
    result = subprocess.run(
        ["bash", "-e", script],
        cwd=project,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return result.stdout + (FAILED if result.returncode else "")


# ci.yml


@pytest.mark.rust
@pytest.mark.parametrize("timers", [True, False])
def test_every_step_passes_and_the_summary_has_the_modules_hash(
    project: Generate, tmp_path: Path, timers: bool
) -> None:
    folder = project(timers=timers)
    printed = run_steps(folder, CI, tmp_path / "github")
    assert list(printed) == STEPS
    assert FAILED not in printed["Size and hash"], printed
    module = (folder / MODULES).with_name("hello_backend.wasm").read_bytes()
    row = f"| hello_backend | {len(module)} | {hashlib.sha256(module).hexdigest()} |"
    assert row in (tmp_path / "github/summary.md").read_text().splitlines()
    assert steps(folder, CI)[-1]["with"]["path"] == MODULES


def added(code: str) -> tuple[str, str]:
    """What adds code to lib.rs: a text, and what it becomes."""
    return "ic_cdk::export_candid!();\n", f"ic_cdk::export_candid!();\n\n{code}\n"


SPOILT = {
    "a conflict left": ("README.md", ("", CONFLICT), "No conflict left by an update", "README.md:"),
    "a dependency that is not in the lock": (
        "src/hello_backend/Cargo.toml",
        ("\ncandid.workspace = true", '\ncandid.workspace = true\nserde = "1"'),
        "Cargo.lock is up to date",
        "commit it: cargo update --workspace",
    ),
    "a line that is not formatted": (LIB, ("fn greet(name", "fn greet( name"), "Formatting", "-fn greet( name"),
    "a lint": (LIB, added(LINT), "Lints on the host", "`-D clippy::len-zero` implied"),
    "a lint in a test": (
        LIB,
        (
            "fn greets_by_name() {\n",
            'fn greets_by_name() {\n        assert_eq!(greet("ICP".into()).is_empty(), false);\n',
        ),
        "Lints on the host",
        "`-D clippy::bool-assert-comparison` implied",
    ),
    "a lint on wasm alone": (LIB, added(f"{ON_WASM}\n{LINT}"), "Lints for wasm64", "`-D clippy::len-zero` implied"),
    "an error on wasm alone": (
        LIB,
        added(f"{ON_WASM}\npub const HEAP: usize = six_gib;"),
        "Lints for wasm64",
        "cannot find value `six_gib`",
    ),
    "a test that fails": (LIB, ("Hello, {name}", "Goodbye, {name}"), "Tests", "test tests::greets_by_name ... FAILED"),
    "a .did file out of step": (
        "src/hello_backend/hello_backend.did",
        ("greet : (text)", "greet : (nat)"),
        "Tests",
        "The .did file differs",
    ),
    "an error in the release alone": (
        LIB,
        added("#[cfg(not(debug_assertions))]\npub const HEAP: usize = six_gib;"),
        "Build",
        "build.sh: hello_backend did not compile.",
    ),
}
"""What spoils a project: a file, a text in it and what becomes of that; and the step that fails, and what it says."""


@pytest.mark.rust
@pytest.mark.parametrize(("file", "change", "step", "message"), SPOILT.values(), ids=SPOILT)
def test_what_is_spoilt_fails_at_the_step_that_is_for_it(
    project: Generate, tmp_path: Path, file: str, change: tuple[str, str], step: str, message: str
) -> None:
    folder = shutil.copytree(project(), tmp_path / "hello", symlinks=True)
    replace(folder / file, *change)
    commit(folder)
    printed = run_steps(folder, CI, tmp_path / "github")
    assert list(printed) == STEPS[: STEPS.index(step) + 1], printed
    assert FAILED in printed[step] and message in printed[step]


@pytest.mark.parametrize(
    ("file", "text", "passes"),
    [
        (LIB, CONFLICT, False),
        ("README.md", CONFLICT, False),
        ("build.sh.rej", "", False),
        ("notes.md", "Title\n=======\n<<<<<<<< eight\n  >>>>>>> quoted\n", True),
    ],
)
def test_a_conflict_that_was_committed_is_named(
    start: Generate, tmp_path: Path, file: str, text: str, passes: bool
) -> None:
    project = start(NEWEST)
    (project / file).write_text(text)
    commit(project)
    (step,) = [step for step in steps(project, CI) if step.get("name") == "No conflict left by an update"]
    printed = run_step(step, project, tmp_path)
    assert (FAILED in printed) != passes
    assert (file in printed and "::error::Keep what is right" in printed) != passes


# template.yml

Look = Callable[..., dict[str, str]]


@pytest.fixture
def newer(versions: Path, tmp_path: Path) -> Path:
    """A copy of `versions`, for `release` to go on with; its newest version has news in the changelog."""
    newer = shutil.copytree(versions, tmp_path / "template")
    shutil.copy(ROOT / "CHANGELOG.md", newer)
    write_news(newer, "9999.0.0")
    release(newer, "9999.1.0")
    return newer


def write_news(template: Path, version: str) -> None:
    """Write into the changelog what is new in a version, as this repository does."""
    changelog = template / "CHANGELOG.md"
    before, after = changelog.read_text().split("\n## ", 1)
    changelog.write_text(f"{before}\n## {version}, 2027-01-01\n\n- News of {version}.\n\n## {after}")


def release(template: Path, version: str) -> None:
    write_news(template, version)
    git(template, "add", "CHANGELOG.md")
    git(template, "commit", "--quiet", "--message", version)
    git(template, "tag", "--force", f"v{version}")


@pytest.fixture
def look(start: Generate, versions: Path, newer: Path, tmp_path: Path) -> Look:
    """`look()` runs the workflow in a project, `hello`, of the version before the newest."""
    tools = {"copier": BIN / "copier", "jq": GO / "gojq"}
    (tmp_path / "bin").mkdir()
    for name, tool in tools.items():
        (tmp_path / "bin" / name).symlink_to(tool)
    (tmp_path / "bin/gh").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/gh.py" "$@"\n')
    (tmp_path / "bin/gh").chmod(0o755)
    project = start(NEWEST)
    source(project, str(versions), str(newer))
    search = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    github = {"PATH": search, "GH_ISSUES": str(tmp_path / "issues.json")}
    return lambda **environment: run_steps(project, TEMPLATE, tmp_path / "github", **github, **environment)


def source(project: Path, old: str, new: str) -> None:
    """Record another address of the template."""
    replace(project / ".copier-answers.yml", f"_src_path: {old}\n", f"_src_path: {new}\n")
    commit(project)


def issues(folder: Path) -> list[dict]:
    file = folder / "issues.json"
    return json.loads(file.read_text()) if file.exists() else []


def test_one_issue_tells_of_the_newest_version_until_the_project_has_it(
    look: Look, newer: Path, tmp_path: Path
) -> None:
    printed = look()
    assert list(printed) == ["Install Copier", "Compare with the newest version", "Open, edit or close the issue"]
    (issue,) = issues(tmp_path)
    assert issue["title"] == "The template is at version 9999.1.0"
    assert issue["body"].startswith("The template is at version 9999.1.0, this project at 9999.0.0. ")
    assert news(issue) == ["9999.1.0"]

    look()
    assert issues(tmp_path) == [issue]

    release(newer, "9999.2.0")
    look()
    (issue,) = issues(tmp_path)
    assert issue["title"] == "The template is at version 9999.2.0"
    assert news(issue) == ["9999.2.0", "9999.1.0"]

    project = tmp_path / "hello"
    (command,) = re.findall(r"^    (.*)$", issue["body"], re.MULTILINE)
    run(command, project, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    commit(project)
    look()
    (issue,) = issues(tmp_path)
    assert (issue["state"], issue["comment"]) == ("CLOSED", "The project is up to date.")


def news(issue: dict) -> list[str]:
    """The versions of which an issue has the changelog."""
    return re.findall(r"^- News of (.*)\.$", issue["body"], re.MULTILINE)


def test_an_issue_that_was_closed_by_hand_stays_closed_until_the_next_version(
    look: Look, newer: Path, tmp_path: Path
) -> None:
    look()
    (issue,) = issues(tmp_path)
    closed = issue | {"state": "CLOSED"}
    (tmp_path / "issues.json").write_text(json.dumps([closed]))
    look()
    assert issues(tmp_path) == [closed]
    release(newer, "9999.2.0")
    look()
    assert [issue["state"] for issue in issues(tmp_path)] == ["CLOSED", "OPEN"]


def test_the_issues_of_others_are_left_alone(look: Look, tmp_path: Path) -> None:
    title = "The template is at version 9999.1.0"
    others = {"number": 1, "state": "OPEN", "title": title, "body": "Mine.", "author": "owner"}
    (tmp_path / "issues.json").write_text(json.dumps([others]))
    look()
    assert [issue["body"] == "Mine." for issue in issues(tmp_path)] == [True, False]
    assert issues(tmp_path)[0] == others


def test_a_project_that_is_up_to_date_gets_no_issue(look: Look, newer: Path, tmp_path: Path) -> None:
    git(newer, "tag", "--delete", NEXT)
    assert FAILED not in look().popitem()[1]
    assert issues(tmp_path) == []


def test_a_project_made_between_two_versions_reads_what_is_new_since(look: Look, newer: Path, tmp_path: Path) -> None:
    between = git(newer, "commit-tree", "-p", NEWEST, "-m", "between", f"{NEWEST}^{{tree}}").strip()
    git(newer, "branch", "between", between)
    project = tmp_path / "hello"
    replace(project / ".copier-answers.yml", f"_commit: {NEWEST}\n", f"_commit: {NEWEST}-1-g{between[:7]}\n")
    commit(project)
    look()
    (issue,) = issues(tmp_path)
    assert news(issue) == ["9999.1.0"]


@pytest.mark.parametrize("nowhere", ["/home/someone/template", "https://127.0.0.1:1/template.git"])
def test_a_template_that_github_cannot_read_is_named(look: Look, newer: Path, tmp_path: Path, nowhere: str) -> None:
    source(tmp_path / "hello", str(newer), nowhere)
    step, printed = look().popitem()
    assert step == "Compare with the newest version" and FAILED in printed
    assert f"::error::Cannot compare with {nowhere} (see above). If GitHub cannot read it, write the" in printed
    assert "or, if it has none, delete .github/workflows/template.yml." in printed
    assert issues(tmp_path) == []


@pytest.mark.parametrize(
    ("short", "site"),
    [
        ("gh:owner/template", "https://github.com/owner/"),
        ("gl:owner/template", "https://gitlab.com/owner/"),
        ("git+https://example.org/owner/template", "https://example.org/owner/"),
    ],
)
def test_an_address_in_copiers_short_form_is_understood(
    look: Look, newer: Path, tmp_path: Path, short: str, site: str
) -> None:
    source(tmp_path / "hello", str(newer), short)
    newer.with_name("template.git").symlink_to(newer)  # Both are addresses of a repository there.
    look(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0=f"url.{newer.parent}/.insteadOf", GIT_CONFIG_VALUE_0=site)
    (issue,) = issues(tmp_path)
    assert news(issue) == ["9999.1.0"]


def test_each_workflow_may_do_no_more_than_it_needs(generate: Generate) -> None:
    folder = generate() / ".github/workflows"
    ci, template = (yaml.safe_load((folder / name).read_text()) for name in ("ci.yml", "template.yml"))
    assert ci["permissions"] == {"contents": "read"}
    assert template["permissions"] == {}
    (job,) = template["jobs"].values()
    assert job["permissions"] == {"contents": "read", "issues": "write"}


def test_the_workflow_installs_the_copier_that_the_tests_use(generate: Generate) -> None:
    (install,) = [step["run"] for step in steps(generate(), TEMPLATE) if step.get("name") == "Install Copier"]
    (locked,) = re.findall(r"^copier==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert install == f"pipx install copier=={locked}"


# Linters


@pytest.mark.parametrize("folder", ["this repository", "every answer yes", "every answer no"])
def test_linters_have_nothing_to_say(generate: Generate, folder: str) -> None:
    yes_or_no = {name for name, question in QUESTIONS.items() if question["type"] == "bool"}
    answers = dict.fromkeys(yes_or_no, folder.endswith("yes")) | {"github_actions": True}
    project = ROOT if folder == "this repository" else generate(**answers)
    workflows = sorted((project / ".github/workflows").glob("*.yml"))
    assert workflows
    for linter in (
        [GO / "actionlint", "-shellcheck", BIN / "shellcheck", "-pyflakes="],
        [BIN / "zizmor", "--offline", "--quiet", "--no-config", "--persona=pedantic", "--min-severity=low"],
    ):
        result = subprocess.run([*linter, *workflows], text=True, capture_output=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
