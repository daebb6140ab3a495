"""The workflows: their own steps pass on what is generated, catch what is spoilt, and tell of a newer template."""

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
from conftest import ROOT, Generate, build_next, copy, own_copy
from projects import LIB, NEWEST, QUESTIONS, commit, git, replace, run

GO = ROOT / "tools/go/bin"
BIN = Path(sys.executable).parent
CI, TEMPLATE = ".github/workflows/ci.yml", ".github/workflows/template.yml"
STEPS = [
    "No conflict left by an update",
    "Install the pinned nightly",
    "Cargo.lock is up to date",
    "Formatting",
    "Lints on the host",
    "Lints for wasm64",
    "Tests",
    "Install icp-cli and ic-wasm",
    "Build what is deployed, with its size and hash in the summary",
]
WITHOUT_ICP = [*STEPS[:-2], "Build, with size and hash in the summary"]
INSTALLED = ("rustup toolchain install", "npm install ")
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
    build_next(project)
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
@pytest.mark.parametrize("icp_cli", [True, False])
def test_every_step_passes_and_the_summary_has_the_hash(project: Generate, tmp_path: Path, icp_cli: bool) -> None:
    folder = own_copy(project(icp_cli=icp_cli, timers=icp_cli), tmp_path / "hello")
    printed = run_steps(folder, CI, tmp_path / "github")
    assert list(printed) == (STEPS if icp_cli else WITHOUT_ICP)
    assert FAILED not in "".join(printed.values()), printed
    path = (
        ".icp/cache/artifacts/hello_backend" if icp_cli else "target/wasm64-unknown-unknown/release/hello_backend.wasm"
    )
    module = (folder / path).read_bytes()
    summary = (tmp_path / "github/summary.md").read_text()
    assert str(len(module)) in summary and hashlib.sha256(module).hexdigest() in summary
    kept = folder.glob(steps(folder, CI)[-1]["with"]["path"] + ("/*" if icp_cli else ""))
    assert module in [path.read_bytes() for path in kept]


def test_a_change_is_checked_once(generate: Generate) -> None:
    """A push to a branch with a pull request has one run, as only the main branch is checked at a push."""
    triggers = yaml.safe_load((generate() / CI).read_text())[True]  # YAML takes `on` for a yes.
    assert triggers == {"push": {"branches": ["main", "master"]}, "pull_request": None}


def test_the_cache_belongs_to_one_lock_and_one_nightly(generate: Generate) -> None:
    (cache,) = [step["with"] for step in steps(generate(), CI) if "actions/cache@" in step.get("uses", "")]
    assert cache["path"].split() == ["~/.cargo/registry", "target"]
    assert cache["key"] == "cargo-${{ hashFiles('Cargo.lock', 'rust-toolchain.toml') }}"
    assert "restore-keys" not in cache


def added(code: str) -> tuple[str, str]:
    """What adds code to lib.rs: a text, and what it becomes."""
    return "\n#[cfg(test)]\nmod tests", f"\n{code}\n\n#[cfg(test)]\nmod tests"


SPOILT = {
    "a conflict left": ("README.md", ("", CONFLICT), "No conflict left by an update", "README.md:"),
    "a dependency that is not in the lock": (
        "src/hello_backend/Cargo.toml",
        ("\ncandid.workspace = true", '\ncandid.workspace = true\nserde = "1"'),
        "Cargo.lock is up to date",
        "::error file=Cargo.lock::Build the project",
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
        ": expect test failed",
    ),
    "an error in the release alone": (
        LIB,
        added("#[cfg(not(debug_assertions))]\npub const HEAP: usize = six_gib;"),
        STEPS[-1],
        "cannot find value `six_gib`",
    ),
}
"""What spoils a project: a file, a text in it and what becomes of that; and the step that fails, and what it says."""


@pytest.mark.rust
@pytest.mark.parametrize(("file", "change", "step", "message"), SPOILT.values(), ids=SPOILT)
def test_what_is_spoilt_fails_at_the_step_that_is_for_it(
    project: Generate, tmp_path: Path, file: str, change: tuple[str, str], step: str, message: str
) -> None:
    folder = own_copy(project(), tmp_path / "hello")
    replace(folder / file, *change)
    commit(folder)
    printed = run_steps(folder, CI, tmp_path / "github", UPDATE_EXPECT="1")  # Which must not write the .did here.
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

OPEN, CLOSED = "OPEN", "CLOSED"
TITLE = "The template is at version "
GH = """\
#!/bin/sh
echo "$*" >>"$GH_LOG"
case "$GH_ISSUES $*" in
  "none issue"*) echo "the repository has disabled issues" >&2; exit 1 ;;
  *"issue list --state all"*) cat "$GH_ISSUES" ;;
esac
"""
"""A replacement for `gh`: records its arguments, and lists the issues in the file GH_ISSUES as `gh` does to a pipe."""


class Look:
    """A project of the template's version 1.0.0, and what template.yml does in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.template, self.project = folder, folder / "template.git", folder / "hello"
        (folder / "bin").mkdir()
        for name, text in {"gh": GH, "pipx": "#!/bin/sh\n"}.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        (folder / "bin/copier").symlink_to(BIN / "copier")

    def tag(self, *tags: str) -> None:
        """Commit a change of the template and give it these tags."""
        (self.template / "news.md").write_text(f"{tags}\n")
        commit(self.template)
        for tag in tags:
            git(self.template, "tag", tag)

    def run(
        self, *issues: tuple[int, str, str], takes_issues: bool = True, **environment: str
    ) -> tuple[str, list[str]]:
        """Run the steps where these issues exist, and return what they print and what they have `gh` do, lists aside."""
        listed, log = self.folder / "issues", self.folder / "log"
        listed.write_text("".join(f"{number}\t{state}\t{title}\t\t2026-11-26\n" for number, state, title in issues))
        log.write_text("")
        environment |= {"GH_ISSUES": str(listed) if takes_issues else "none", "GH_LOG": str(log)}
        search = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        (step,) = [step for step in steps(self.project, TEMPLATE) if "run" in step]
        printed = run_step(step, self.project, self.folder, PATH=search, **environment)
        return printed, [line for line in log.read_text().splitlines() if " list " not in line]


@pytest.fixture
def look(template: Path, tmp_path: Path) -> Look:
    """A template that has no tag yet, and a project of its only commit."""
    look = Look(tmp_path)
    for name in ("includes", "template"):
        shutil.copytree(template / name, look.template / name)
    shutil.copy(template / "copier.yml", look.template)
    commit(look.template)
    copy(look.template, look.project)
    commit(look.project)
    return look


def created(title: str) -> str:
    return f"issue create --title {title} --body Run `copier update --defaults`. "


@pytest.mark.parametrize("tags", [["v1.0.0"], ["1.0.0"], ["v1.0.0", "1.0.0"]], ids=" and ".join)
def test_a_newer_version_opens_an_issue_however_tags_are_written(look: Look, tags: list[str]) -> None:
    look.tag(*tags)
    printed, (done,) = look.run()
    assert FAILED not in printed
    assert done.startswith(created(f"{TITLE}1.0.0"))


def test_a_newer_commit_without_tags_opens_an_issue(look: Look) -> None:
    assert look.run()[1] == []
    look.tag()
    printed, (done,) = look.run()
    assert FAILED not in printed
    assert re.match(re.escape(created(TITLE)).replace(r"\ \-\-body", r"0\.0\.0\.post2\.dev0\+[0-9a-f]+ --body"), done)


def test_a_project_that_is_up_to_date_needs_no_issue(look: Look) -> None:
    look.tag("v1.0.0")
    run("copier update --defaults --quiet", look.project, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    commit(look.project)
    printed, done = look.run((8, OPEN, f"{TITLE}1.0.0"), (7, CLOSED, f"{TITLE}0.9.0"), (6, OPEN, "Mine"))
    assert (FAILED in printed, done) == (False, ["issue close 8"])


@pytest.mark.parametrize("state", [OPEN, CLOSED])
def test_a_version_gets_one_issue_also_if_that_was_closed(look: Look, state: str) -> None:
    look.tag("v1.0.0")
    printed, done = look.run((7, state, f"{TITLE}1.0.0"))
    assert (FAILED in printed, done) == (False, [])


def test_a_newer_version_closes_the_issues_of_older_ones_alone(look: Look) -> None:
    look.tag("v1.0.10")
    printed, done = look.run((9, OPEN, "Mine"), (8, OPEN, f"{TITLE}1.0.1"), (7, CLOSED, f"{TITLE}1.0.10rc1"))
    assert FAILED not in printed
    assert done[0] == "issue close 8"
    assert done[1].startswith(created(f"{TITLE}1.0.10")) and len(done) == 2


def test_a_repository_without_issues_is_left_in_peace(look: Look) -> None:
    look.tag("v1.0.0")
    printed, done = look.run(takes_issues=False)
    assert (FAILED in printed, done) == (False, [])


@pytest.mark.parametrize("nowhere", ["/home/someone/template", "https://127.0.0.1:1/template.git", "../template"])
def test_an_address_that_cannot_be_read_fails_with_the_way_out(look: Look, nowhere: str) -> None:
    record(look, nowhere)
    printed, done = look.run()
    assert FAILED in printed and done == []
    assert "::error::Write an address that GitHub can read into .copier-answers.yml as _src_path, or delete" in printed


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("gh:owner/template", "https://github.com/owner/"),
        ("gl:owner/template", "https://gitlab.com/owner/"),
        ("git+https://example.org/owner/template", "https://example.org/owner/"),
        ("git@example.org:owner/template.git", "git@example.org:owner/"),
        ("https://example.org/owner/template.git", "https://example.org/owner/"),
    ],
)
def test_an_address_in_any_form_is_read(look: Look, address: str, site: str) -> None:
    look.tag("v1.0.0")
    record(look, address)
    look.template.with_name("template").symlink_to(look.template)  # Some forms end in .git and some do not.
    _, (done,) = look.run(
        GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0=f"url.{look.folder}/.insteadOf", GIT_CONFIG_VALUE_0=site
    )
    assert done.startswith(created(f"{TITLE}1.0.0"))


def record(look: Look, address: str) -> None:
    """Record another address of the template in the project."""
    replace(look.project / ".copier-answers.yml", f"_src_path: {look.template}\n", f"_src_path: {address}\n")
    commit(look.project)


def test_template_yml_is_short(generate: Generate) -> None:
    assert len((generate() / TEMPLATE).read_text().splitlines()) <= 25


def test_each_workflow_may_do_no_more_than_it_needs(generate: Generate) -> None:
    folder = generate() / ".github/workflows"
    ci, template = (yaml.safe_load((folder / name).read_text()) for name in ("ci.yml", "template.yml"))
    assert ci["permissions"] == {"contents": "read"}
    assert template["permissions"] == {}
    (job,) = template["jobs"].values()
    assert job["permissions"] == {"contents": "read", "issues": "write"}


def test_the_workflow_installs_the_copier_that_the_tests_use(generate: Generate) -> None:
    (locked,) = re.findall(r"^copier==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert f"\n          pipx install copier=={locked}\n" in (generate() / TEMPLATE).read_text()


def test_the_workflow_installs_the_tools_that_the_tests_use(generate: Generate) -> None:
    ours = json.loads((ROOT / "tools/npm/package.json").read_text())["dependencies"]
    tools = " ".join(f"{name.removesuffix('-linux-x64')}@{version}" for name, version in ours.items())
    (install,) = [step["run"] for step in steps(generate(), CI) if "npm" in step.get("run", "")]
    assert sorted(install.split()) == sorted(["npm", "install", "-g", *tools.split()])


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
        [BIN / "zizmor", "--offline", "--quiet", "--no-config", "--persona=pedantic", "--min-severity=medium"],
    ):
        result = subprocess.run([*linter, *workflows], text=True, capture_output=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
