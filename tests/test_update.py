"""`copier update`: to a newer template and to other answers, without losing what the owner wrote."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import copier
import pytest
from conftest import RELEASES, ROOT, Generate, check_answers, commit, git
from copier import VcsRef
from workspace import nightly

OPTIONAL = {"icp_cli": "icp.yaml", "github_actions": ".github/workflows/ci.yml"}
"""The file of an answer: an update does not delete it."""
LIB = "src/hello_backend/src/lib.rs"
MARKER = re.compile(rb"^(<<<<<<< before|>>>>>>> after) updating$", re.MULTILINE)
NEWEST, NEXT = "v9999.0.0", "v9999.1.0"
NEXT_VERSION = {
    "build.sh": ("Builds one canister", "Compiles one canister"),
    "rust-toolchain.toml": (nightly(), "nightly-2027-01-01"),
    ".gitignore": ("/target\n", "/target\n/wasm\n"),
    "Cargo.toml.jinja": ('ic-cdk = "=0.20.3"', 'ic-cdk = "=0.20.4"'),
    "Cargo.lock.jinja": ('name = "ic-cdk"\nversion = "0.20.3"', 'name = "ic-cdk"\nversion = "0.20.4"'),
    "README.md.jinja": ("## Deploy and call", "## Run"),
    "dfx.json.jinja": ('"type": "custom",\n', '"type": "custom",\n      "optimize": "cycles",\n'),
    "{% if icp_cli %}icp.yaml{% endif %}.jinja": ("# The canister", "# This canister"),
    "{% if github_actions %}.github{% endif %}/workflows/ci.yml.jinja": ("name: CI", "name: Checks"),
    "src/{{ canister_name }}/Cargo.toml.jinja": ("publish = false\n", 'publish = false\nlicense = "MIT"\n'),
    "src/{{ canister_name }}/{{ canister_name }}.did.jinja": ("service : {\n", "service : {\n  // For everyone.\n"),
    "src/{{ canister_name }}/src/lib.rs.jinja": ("//! Says hello,", "//! Greets,"),
}
"""What the template's next version says otherwise, in each of its files."""
OTHER_ANSWERS = {"timers": False, "shrink": False, "gzip": False, "wasm_memory_limit": "5 GiB"}
ENDPOINT = """\
#[ic_cdk::update]
fn {name}() -> String {{
    "{name}".into()
}}

"""
SECOND_CANISTER = """
    },
    "second_backend": {
      "candid": "src/second_backend/second_backend.did",
      "build": "bash build.sh second_backend",
      "type": "custom",
      "wasm": "target/wasm64-unknown-unknown/release/second_backend.wasm"
    }
  }
"""
SECOND_CANISTER_FOR_ICP = """\
  - name: second_backend
    build:
      steps:
        - type: script
          commands:
            - bash build.sh second_backend
"""
ADDED_TO_LOCK = """
[[package]]
name = "second_backend"
version = "0.1.0"
dependencies = [
 "candid",
 "ic-cdk",
]

[[package]]
name = "serde"
"""
ADDITIONS = [
    (LIB, "thread_local! {", ENDPOINT.format(name="above") + "thread_local! {"),
    (LIB, "#[ic_cdk::query]\nfn greet", ENDPOINT.format(name="between") + "#[ic_cdk::query]\nfn greet"),
    (LIB, "Hello, {name}! Powered by", "Good day, {name}! Driven by"),
    (LIB, "Hello, ICP! Powered by", "Good day, ICP! Driven by"),
    (LIB, "\nic_cdk::export_candid!();", "\n" + ENDPOINT.format(name="below") + "ic_cdk::export_candid!();"),
    ("src/hello_backend/hello_backend.did", "service : {", "type Profile = record { name : text };\n\nservice : {"),
    ("src/hello_backend/hello_backend.did", "query;\n}", "query;\n  above : () -> (text);\n  below : () -> (text);\n}"),
    # `cargo add serde`, and a second canister.
    ("src/hello_backend/Cargo.toml", "\n\n[dev-dep", '\nserde = "1.0.229"\n\n[dev-dep'),
    ("Cargo.lock", ' "ic-cdk-timers",\n]', ' "ic-cdk-timers",\n "serde",\n]'),
    ("Cargo.lock", '\n[[package]]\nname = "serde"\n', ADDED_TO_LOCK),
    ("Cargo.toml", '"src/hello_backend"', '"src/hello_backend", "src/second_backend"'),
    ("dfx.json", "\n    }\n  }\n", SECOND_CANISTER),
    ("icp.yaml", "", SECOND_CANISTER_FOR_ICP),
    # Other settings of dfx.
    ("dfx.json", '"version": 1,', '"version": 1,\n  "networks": { "local": { "bind": "127.0.0.1:8000" } },'),
    ("dfx.json", '"candid:service" }]', '"candid:service" }],\n      "init_arg": "()"'),
    ("Cargo.toml", 'candid = "=0.10.39"', 'candid = "=0.10.40"'),
    (".gitignore", "", "/.env\n"),
    ("build.sh", "", 'ic-wasm "$wasm" info\n'),
    (".github/workflows/ci.yml", "", "      - run: bash deploy.sh\n"),
]
"""What owners add: the file, a text of the template's, and what it becomes; without a text it goes to the end."""


def add(project: Path) -> None:
    """Add what owners add, everywhere."""
    for name, old, new in ADDITIONS:
        replace(project / name, old, new)
    (project / "src/second_backend/src").mkdir(parents=True)
    (project / "src/second_backend/src/lib.rs").write_text("ic_cdk::export_candid!();\n")


def has_additions(project: Path) -> None:
    """Fail unless each line that `add` wrote is there, and the second canister."""
    for name, old, new in ADDITIONS:
        text = (project / name).read_text()
        missing = [line for line in new.splitlines() if line not in old.splitlines() and line not in text]
        assert not missing, f"{name} has lost {missing}"
    assert (project / "src/second_backend/src/lib.rs").read_text() == "ic_cdk::export_candid!();\n"


def change(project: Path) -> None:
    """Split lib.rs into modules, rewrite the README, delete the workflow and icp.yaml, change two files' modes."""
    lib = (project / LIB).read_text()
    start, end = lib.index("#[ic_cdk::query]\nfn greet"), lib.index("ic_cdk::export_candid!();")
    (project / LIB).with_name("greeting.rs").write_text(lib[start:end].replace("Hello", "Good day"))
    (project / LIB).write_text(f"{lib[:start]}mod greeting;\nuse greeting::greet;\n\n{lib[end:]}")
    (project / "README.md").write_text("# My canister\n\nEvery word of it is mine.\n")
    for name in OPTIONAL.values():
        (project / name).unlink()
    (project / "build.sh").chmod(0o644)
    (project / "Cargo.toml").chmod(0o755)


def has_changes(project: Path) -> None:
    """Fail unless the project is as `change` made it."""
    assert "Good day, {name}!" in (project / LIB).with_name("greeting.rs").read_text()
    assert "mod greeting;\nuse greeting::greet;\n" in (project / LIB).read_text()
    readme = (project / "README.md").read_text()
    assert "# My canister\n" in readme and "Every word of it is mine.\n" in readme
    assert not [name for name in OPTIONAL.values() if (project / name).exists()]
    assert not os.access(project / "build.sh", os.X_OK)
    assert os.access(project / "Cargo.toml", os.X_OK)


EDITS = {"additions": (add, has_additions), "changes": (change, has_changes)}


@pytest.fixture(scope="session")
def versions(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The snapshot, and as version 9999.1.0 a template that says something else in each file."""
    versions = shutil.copytree(snapshot, tmp_path_factory.mktemp("versions") / "template")
    for name, (old, new) in NEXT_VERSION.items():
        replace(versions / "template" / name, old, new)
    commit(versions, NEXT)
    return versions


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text that stands once in a file; an empty one is its end."""
    text = path.read_text()
    assert not old or text.count(old) == 1, f"{old!r} in {path}"
    path.write_text(text.replace(old, new) if old else text + new)


@pytest.fixture(scope="session")
def fresh(versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Generate:
    """`fresh(version, **answers)` is what `copier copy --vcs-ref VERSION` writes, committed; made once, not to be changed."""

    @cache
    def fresh(version: str, **answers: str | bool) -> Path:
        check_answers(answers)
        folder = tmp_path_factory.mktemp("fresh") / "hello"
        copier.run_copy(str(versions), folder, answers, vcs_ref=version, defaults=True, quiet=True, unsafe=False)
        commit(folder)
        return folder

    return fresh


@pytest.fixture
def start(fresh: Generate, tmp_path: Path) -> Generate:
    """`start(version, **answers)` is such a project to work with."""
    return lambda version, **answers: shutil.copytree(fresh(version, **answers), tmp_path / "hello")


def update(project: Path, version: str | VcsRef = VcsRef.CURRENT, **answers: str | bool) -> None:
    """`copier update --defaults --vcs-ref VERSION --data ...`."""
    check_answers(answers)
    copier.run_update(project, data=answers, vcs_ref=version, defaults=True, overwrite=True, quiet=True, unsafe=False)


def files(project: Path) -> dict[str, tuple[bool, bytes]]:
    """For each file that git does not ignore, by name: whether it can be executed, and its content."""
    names = git(project, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    paths = {name: project / name for name in names if (project / name).is_file()}
    return {name: (os.access(path, os.X_OK), path.read_bytes()) for name, path in paths.items()}


def conflicts(project: Path) -> set[str]:
    """The files with conflict markers; git has to know each of them as unmerged."""
    marked = {name for name, (_, content) in files(project).items() if MARKER.search(content)}
    assert set(git(project, "diff", "--name-only", "--diff-filter=U").splitlines()) == marked
    return marked


def merge(project: Path, old: Path, new: Path) -> dict[str, bytes | None]:
    """What git's own three-way merge makes of each file that all three have, by name; None is a conflict."""

    def merged(name: str) -> bytes | None:
        command = ["git", "merge-file", "-p", project / name, old / name, new / name]
        result = subprocess.run(command, capture_output=True, check=False)
        return None if result.returncode else result.stdout

    names = files(project).keys() & files(old).keys() & files(new).keys() - {".copier-answers.yml"}
    return {name: merged(name) for name in names}


STEPS = [*((f"v{version}", NEWEST) for version in RELEASES), (NEWEST, NEWEST), (NEWEST, NEXT)]
"""The updates that are tried: from each release and from the newest template, and to one with news in each file."""
step = pytest.mark.parametrize(("old", "new"), STEPS)
other_answers = pytest.mark.parametrize("answers", [{}, OTHER_ANSWERS], ids=["same answers", "other answers"])


@step
@other_answers
def test_an_untouched_project_becomes_a_fresh_copy(
    start: Generate, fresh: Generate, old: str, new: str, answers: dict[str, str | bool]
) -> None:
    project = start(old)
    update(project, new, **answers)
    assert files(project) == files(fresh(new, **answers))


@step
@other_answers
@pytest.mark.parametrize("edits", EDITS)
def test_what_the_owner_wrote_is_kept_and_only_the_same_lines_conflict(
    start: Generate, fresh: Generate, old: str, new: str, edits: str, answers: dict[str, str | bool]
) -> None:
    project = start(old)
    edit, check = EDITS[edits]
    edit(project)
    commit(project)
    merged = merge(project, fresh(old), fresh(new, **answers))
    update(project, new, **answers)
    check(project)
    after = {name: content for name, (_, content) in files(project).items()}
    for name, content in merged.items():
        assert content is None or after[name] == content, name
    assert all(merged[name] is None for name in conflicts(project))
    if old == new and not answers:
        assert git(project, "status", "--porcelain") == ""


def test_additions_do_not_collide_with_the_templates_news(start: Generate) -> None:
    project = start(NEWEST)
    add(project)
    commit(project)
    update(project, NEXT)
    assert not conflicts(project)


def test_where_owner_and_template_changed_the_same_line_both_are_shown(start: Generate) -> None:
    project = start(NEWEST)
    replace(project / LIB, "//! Says hello,", "//! Says good day,")
    commit(project)
    update(project, NEXT)
    assert conflicts(project) == {LIB}
    text = (project / LIB).read_text()
    assert text.index("<<<<<<<") < text.index("Says good day") < text.index("Greets") < text.index(">>>>>>>")


def test_what_the_owner_deleted_stays_deleted(start: Generate) -> None:
    deleted = {"README.md", ".gitignore", "build.sh", "icp.yaml", ".github/workflows/ci.yml", LIB}
    project = start(NEWEST)
    for name in deleted:
        (project / name).unlink()
    commit(project)
    update(project, NEXT, timers=False)
    assert not deleted & files(project).keys()
    assert not conflicts(project)


@pytest.mark.parametrize("question", ["timers", "shrink", "gzip", "icp_cli", "github_actions"])
@pytest.mark.parametrize("before", [True, False])
def test_an_untouched_project_with_another_answer_is_a_fresh_copy_with_it(
    start: Generate, fresh: Generate, question: str, before: bool
) -> None:
    project = start(NEWEST, **({} if before else {question: False}))
    if before and question in OPTIONAL:
        (project / OPTIONAL[question]).unlink()
        commit(project)
    update(project, **{question: not before})
    assert files(project) == files(fresh(NEWEST, **({question: False} if before else {})))


@pytest.mark.parametrize(("question", "file"), OPTIONAL.items())
def test_an_answer_that_would_delete_a_file_is_refused(start: Generate, question: str, file: str) -> None:
    project = start(NEWEST)
    (project / file).write_text((project / file).read_text() + "# mine\n")
    commit(project)
    with pytest.raises(ValueError, match=f"{file} would be deleted.* git rm {file}"):
        update(project, **{question: False})
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.parametrize(("question", "file"), OPTIONAL.items())
def test_a_file_that_the_owner_made_first_is_kept_beside_the_templates(
    start: Generate, question: str, file: str
) -> None:
    project = start(NEWEST, **{question: False})
    (project / file).parent.mkdir(parents=True, exist_ok=True)
    (project / file).write_text("# mine\n")
    commit(project)
    update(project, **{question: True})
    assert conflicts(project) == {file}
    assert "# mine\n" in (project / file).read_text()


def test_an_update_cannot_rename_the_canister(start: Generate) -> None:
    project = start(NEWEST)
    with pytest.raises(ValueError, match='This project\'s is "hello_backend"'):
        update(project, canister_name="other")
    assert git(project, "status", "--porcelain") == ""


@pytest.fixture
def another_next(versions: Path, tmp_path: Path) -> Iterator[Path]:
    """The template's folder, to be changed and committed as version 9999.2.0 by the test; reset afterwards."""
    yield versions
    git(versions, "tag", "--delete", "v9999.2.0")
    git(versions, "reset", "--quiet", "--hard", NEXT)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("names.jinja", '"^(aux|', '"^(hello_backend|aux|', '"hello_backend" is a device'),
        ("names.jinja", '"^(aux|', '"^(hello|aux|', '"hello", this project.s answer so far'),
        ("memory.jinja", "2 ** 48", "2 ** 32", '"6 GiB", this project.s answer so far'),
    ],
)
def test_an_answer_that_a_later_template_refuses_is_not_reset(
    start: Generate, another_next: Path, file: str, old: str, new: str, message: str
) -> None:
    replace(another_next / "includes" / file, old, new)
    replace(another_next / "copier.yml", "  default: 6 GiB", "  default: 1 GiB")
    replace(
        another_next / "copier.yml",
        "{{ valid_project_name(_copier_conf.dst_path | string | realpath | basename) }}",
        "goodbye",
    )
    commit(another_next, "v9999.2.0")
    project = start(NEWEST)
    with pytest.raises(ValueError, match=message):
        update(project, "v9999.2.0")
    assert git(project, "status", "--porcelain") == ""


def test_a_file_that_the_template_retires_as_contributing_md_says_stays_the_owners(
    start: Generate, another_next: Path
) -> None:
    folder = another_next / "template/src/{{ canister_name }}/src"
    (folder / "lib.rs.jinja").rename(folder / "main.rs.jinja")
    (retire,) = re.findall(r"^ +(_exclude: .*)$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    replace(another_next / "copier.yml", "", retire.replace("FILE", "src/*/src/lib.rs") + "\n")
    commit(another_next, "v9999.2.0")
    project = start(NEWEST)
    add(project)
    commit(project)
    before = files(project)
    update(project, "v9999.2.0")
    assert files(project)[LIB] == before[LIB]
    assert (project / LIB).with_name("main.rs").is_file()


def test_a_project_in_a_folder_of_a_larger_repository_is_updated_alike(
    versions: Path, fresh: Generate, tmp_path: Path
) -> None:
    project = tmp_path / "all/canisters/hello"
    shutil.copytree(fresh(NEWEST), project, ignore=shutil.ignore_patterns(".git"))
    (tmp_path / "all/README.md").write_text("All my projects.\n")
    add(project)
    commit(tmp_path / "all")
    update(project, NEXT)
    has_additions(project)
    assert nightly() not in (project / "rust-toolchain.toml").read_text()
    assert (tmp_path / "all/README.md").read_text() == "All my projects.\n"
    assert not git(tmp_path / "all", "diff", "--name-only", "--diff-filter=U")


def test_a_project_from_a_relative_source_finds_its_template_again(
    versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(versions)
    copier.run_copy(".", tmp_path / "hello", vcs_ref=NEWEST, defaults=True, quiet=True, unsafe=False)
    monkeypatch.chdir(tmp_path / "hello")
    commit(tmp_path / "hello")
    update(Path(), NEXT)
    assert nightly() not in Path("rust-toolchain.toml").read_text()
