"""Existing projects of many shapes move to wasm64 as docs/how-to/adopt.md and the message of `copier copy` say."""

import json
import re
import shutil
from contextlib import chdir, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from runtime import Canister
from scripts.workspace import TEMPLATE, cargo, share_target
from tests.conftest import Project
from tests.support import builds
from tests.support.git import commit, git
from tests.support.pages import HOW_TO, blocks, edit, script
from tests.support.projects import copier_command, replace, run
from tests.support.updates import NEXT, conflicts, files

PAGE = HOW_TO / "adopt.md"
WORKFLOWS = {".github/workflows/ci.yml", ".github/workflows/template.yml"}
OURS = {".copier-answers.yml", "build.sh", "rust-toolchain.toml", "wasm64.hbs", *WORKFLOWS}
"""All files that the template may write."""
PROFILE = "\n[profile.release]" + (TEMPLATE / "Cargo.toml.jinja").read_text().split("[profile.release]")[1]
"""The template's profile. Other tests have compiled the dependencies with it."""


@dataclass
class Shape:
    """What shapes.md expects of a project."""

    packages: dict[str, str]  # The package of each Rust canister.
    edits: dict[str, int]  # The number of lines, or of entries in dfx.json, that an adoption changes in a file.
    folder: str = "."  # The project's folder in its repository.
    init: str = "()"  # The argument of an installation.
    version: str | None = None  # The version of the template that generated the project.
    remembers: bool = False  # Whether `greet` repeats the names of earlier calls, also after an upgrade.


PROJECTS = Path(__file__).with_name("shapes.md")
EXPECTED = [block for block in blocks(PROJECTS) if block.paragraph == "Expected:"]
SHAPES = {block.heading: Shape(**yaml.safe_load(block.text)) for block in EXPECTED}


def adopt(template: Path, project: Path) -> None:
    """Run the page's first command, check that it changes no other files, and make the edits of its message."""
    before = files(project).items()
    with chdir(project), redirect_stderr(StringIO()) as message:
        copier_command(*blocks(PAGE)[0].text.replace("TEMPLATE", str(template)).split()[1:])
    assert before <= files(project).items() and {name for name, _ in files(project).items() - before} <= OURS
    for paragraph, block in pairwise(re.split(r"\n\n+", message.getvalue())):
        if block.startswith("    sed"):
            run(dedent(block), project)
        elif canister := re.match(r"For dfx,\s+give\s+(\S+)\s+in\s+dfx.json\s+these\s+keys", paragraph):
            dfx = json.loads((project / "dfx.json").read_text())
            dfx["canisters"][canister[1]] |= json.loads(f"{{{block}}}")
            (project / "dfx.json").write_text(json.dumps(dfx, indent=2) + "\n")


def change(project: Path, file: str, line: str, advice: str) -> None:
    """Change a line as `bash build.sh --check` says."""
    lines = (project / file).read_text().splitlines(keepends=True)
    if version := re.search('Write .*(".*") or newer', advice):
        new = re.sub('".*"', version[1], lines[int(line) - 1])
    else:
        (memory,) = [block for block in blocks(HOW_TO / "crates.md", "Stable memory") if block.language == "rust"]
        (project / file).with_name("stable_memory.rs").write_text(memory.text)
        new = "mod stable_memory;\nuse stable_memory::DefaultMemoryImpl;\n"
    (project / file).write_text("".join([*lines[: int(line) - 1], new, *lines[int(line) :]]))


def write(project: Path, shape: str, lock: Path, *packages: str) -> None:
    """Write a project of shapes.md. It gets the lock and the profile of other tests, so that it compiles few crates."""
    for block in blocks(PROJECTS, shape):
        assert edit(block, project) or block in EXPECTED
    if "[profile.release]" not in (project / "Cargo.toml").read_text():
        replace(project / "Cargo.toml", "", PROFILE)
    shutil.copy(lock, project)
    (project / ".gitignore").write_text("target\n.icp\n")
    builds.optimize_less(project, *packages)
    cargo("update", "--workspace", "--quiet", cwd=project)


def wasm32(project: Path, package: str) -> Path:
    """Build a package for wasm32 with cargo alone and return its module."""
    share_target(project)
    build = "build --release --quiet -Zbuild-std=std,panic_abort --message-format=json --target=wasm32-unknown-unknown"
    fast = [f"--config=profile.release.{setting}" for setting in builds.FAST]
    artifacts = cargo(*build.split(), *fast, "--package", package, cwd=project)
    return Path(re.findall(r'"([^"]*/release/[^"/]*\.wasm)"', artifacts)[-1])


def check(shape: Shape, package: str, module: Path, old: Path | None = None, bits: int = 64) -> None:
    """Check the answers of a module after an installation, of `old` if given, and after two upgrades."""
    canister = Canister.install(old or module, shape.init)
    for calls in (1, 2, 3):
        names = "me" * (calls if shape.remembers else 1)
        canister.advance(10)
        assert canister.call("greet", '("me")') == f'("{package.replace("-", "_")} greets {names}")'
        canister.upgrade(module, shape.init)
        assert canister.word_bits == bits


def in_dfx(project: Path) -> dict[str, dict]:
    """Return the canisters in a project's dfx.json."""
    path = project / "dfx.json"
    return json.loads(path.read_text())["canisters"] if path.exists() else {}


def check_edits(shape: Shape, before: Path, after: Path) -> None:
    """Check that an adoption changes the lines and entries of `shape.edits` and no others."""
    assert (after / ".github/workflows/ci.yml").exists() == (shape.folder == ".")
    lines = git(after, "diff", "--numstat", "--relative", "--diff-filter=M", "before", ":!Cargo.lock").splitlines()
    edits = {name: int(added) for added, _, name in map(str.split, lines)}
    entries = {name for name, entry in in_dfx(after).items() if entry != in_dfx(before)[name]}
    assert edits | ({"dfx.json": len(entries)} if entries else {}) == shape.edits
    assert entries <= shape.packages.keys()


def check_modules(shape: Shape, before: Path, after: Path) -> None:
    """Check the answers of the modules that build.sh, icp and the command in dfx.json build."""
    old = wasm32(before, "hello-api") if shape.remembers else None
    done = builds.build(after)
    assert done.returncode == 0, done.stderr
    built = {Path(line.split(": ")[0]).stem.replace("_", "-") for line in done.stdout.splitlines()}
    assert built == {name.replace("_", "-") for name in shape.packages.values()}
    if (after / "icp.yaml").exists():
        run(f"icp build {' '.join(shape.packages)}", after)
        for name, package in shape.packages.items():
            check(shape, package, after / ".icp/cache/artifacts" / name)
    for name in in_dfx(after).keys() & shape.packages.keys():
        run(in_dfx(after)[name]["build"], after)
        check(shape, shape.packages[name], after / in_dfx(after)[name]["wasm"], old)


def check_update(project: Path) -> None:
    """Check that an update to the next version changes only files of the template."""
    with chdir(project):
        copier_command(*script(PAGE, "Update later").split()[1:])
    assert not conflicts(project)
    changed = git(project, "diff", "--name-only", "--relative").split()
    assert {"build.sh", "rust-toolchain.toml"} <= set(changed) <= OURS
    assert not git(project, "ls-files", "--others", "--exclude-standard")
    run("git commit --quiet --all --message Update", project)


def check_leaving(shape: Shape, before: Path, after: Path) -> None:
    """Check that a project that leaves the template gets back all its files except its code, and builds for wasm32."""
    (after / "back.diff").write_text(run(script(PAGE, "Leave the template"), after))
    run("git apply --allow-empty --reverse back.diff && rm back.diff", after)
    left, kept = files(after), files(before)
    changed = {name for name in left | kept if left.get(name) != kept.get(name)}
    code = {name for name in shape.edits if not name.endswith((".json", ".yaml"))}
    assert changed - {*OURS, "Cargo.lock", "rs/api/stable_memory.rs"} == code
    assert not left.keys() & OURS - WORKFLOWS
    if shape.version or "Cargo.toml" in shape.edits:
        return  # A project of version 1.0.0 does not build with cargo alone. Another ic-cdk takes long to compile.
    for name in shape.packages.values():
        check(shape, name, wasm32(after, name), bits=32)


@pytest.mark.parametrize("name", SHAPES)
def test_a_project_moves_to_wasm64_updates_and_leaves(
    repository: Path, committed: Project, build, tmp_path: Path, name: str
) -> None:
    shape = SHAPES[name]
    before, after = (tmp_path / folder / shape.folder for folder in ("before", "after"))
    template = shutil.copytree(repository, tmp_path / "template")
    git(template, "tag", "--delete", NEXT)
    if shape.version:
        shutil.copytree(committed(f"v{shape.version}"), after)
        replace(after / "Cargo.toml", 'opt-level = "s"\n', "")  # Other tests have compiled the crates like this.
        page = HOW_TO / "update.md"
        run(script(page, f"A project of version {shape.version}").partition("&& copier")[0], after)
    write(after, name, committed() / "Cargo.lock", *shape.packages.values())
    commit(tmp_path / "after", "before")
    shutil.copytree(tmp_path / "after", tmp_path / "before")
    adopt(template, after)
    if (found := run("bash build.sh --check || true", after)) != "Nothing found.\n":
        change(after, *found.split(":", 2))
        assert run("bash build.sh --check", after) == "Nothing found.\n"
    commit(tmp_path / "after")

    check_edits(shape, before, after)
    check_modules(shape, before, after)
    git(template, "tag", NEXT)
    check_update(after)
    check_leaving(shape, before, after)


def test_icp_gives_no_canister_the_module_of_another(template: Path, committed: Project, build, tmp_path: Path) -> None:
    """Where cargo writes two modules to one file, icp fails. dfx finds no old module."""
    write(tmp_path, "modules that can be mixed up", committed() / "Cargo.lock", "pair", "twin-a")
    commit(tmp_path)
    adopt(template, tmp_path)
    share_target(tmp_path)
    old = tmp_path / "target/wasm64-unknown-unknown/release/pair.wasm"
    old.write_bytes(b"old")
    advices = {
        "one": "Give each canister a package of its own",
        "twin": "Rename one of the targets called twin",
        "none": "Write the canister's package into",
    }
    for name, advice in advices.items():
        with pytest.raises(AssertionError, match=advice):
            run(f"icp build {name}", tmp_path)
        assert not (tmp_path / ".icp/cache/artifacts" / name).exists()
    assert not old.exists()
