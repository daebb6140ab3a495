"""`copier update`: to a newer template and to other answers, without losing what the owner wrote."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import copier
import pytest
from conftest import FILES, RELEASES, ROOT, Generate
from documents import HOW_TO, commands
from projects import (
    BY_PROGRAMS,
    DELETED,
    EDITS,
    LIB,
    NEWEST,
    NEXT,
    OPTIONAL,
    OPTIONAL_FILES,
    OTHER_ANSWERS,
    SECOND_CANISTER,
    YES_NO,
    add,
    commit,
    conflicts,
    delete_files_of,
    files,
    git,
    has_additions,
    merge,
    replace,
    run,
    update,
)
from workspace import nightly

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
    delete_files_of(project, answers)
    before = files(project)
    update(project, new, **answers)
    given_up = files(fresh(old)).keys() - files(fresh(new)).keys()  # What the template gives up stays.
    after = {name: file for name, file in files(project).items() if name not in given_up}
    assert after == files(fresh(new, **answers)) | {name: before[name] for name in BY_PROGRAMS}


@step
@other_answers
@pytest.mark.parametrize("edits", EDITS)
def test_what_the_owner_wrote_is_kept_and_only_the_same_lines_conflict(
    start: Generate, fresh: Generate, old: str, new: str, edits: str, answers: dict[str, str | bool]
) -> None:
    project = start(old)
    edit, check = EDITS[edits]
    edit(project)
    delete_files_of(project, answers)
    written = {name: file for name, file in files(project).items() if name in BY_PROGRAMS}
    merged = merge(project, fresh(old), fresh(new, **answers))
    update(project, new, **answers)
    check(project)
    after = {name: content for name, (_, content) in files(project).items()}
    for name, content in merged.items():
        assert content is None or after[name] == content, name
    assert all(merged[name] is None for name in conflicts(project))
    assert written == {name: file for name, file in files(project).items() if name in BY_PROGRAMS}
    if old == new and not answers:
        assert git(project, "status", "--porcelain") == ""
    if new == NEXT and not answers:
        assert conflicts(project) == {"additions": set(), "changes": {"README.md"}}[edits]


def test_from_1_0_0_post_install_sets_the_recorded_limit(start: Generate) -> None:
    project = start("v1.0.0", wasm_memory_limit="5 GiB")
    assert "initialization_values" in (project / "dfx.json").read_text()
    replace(project / "dfx.json", '"version": 1,', '"version": 1,\n  "output_env_file": ".env",')
    replace(project / "dfx.json", '"candid": "src', '"init_arg": "()",\n      "candid": "src')
    replace(project / "dfx.json", "\n    }\n  }\n", SECOND_CANISTER)
    commit(project)
    update(project, NEWEST)
    assert not conflicts(project)
    dfx = json.loads((project / "dfx.json").read_text())
    canister = dfx["canisters"]["hello_backend"]
    assert canister["post_install"] == "dfx canister update-settings hello_backend --wasm-memory-limit '5 GiB'"
    assert "initialization_values" not in canister
    assert (dfx["output_env_file"], canister["init_arg"]) == (".env", "()")
    assert "second_backend" in dfx["canisters"]


def test_from_1_0_0_an_own_threshold_conflicts_and_is_kept(start: Generate) -> None:
    project = start("v1.0.0")
    threshold = '"wasm_memory_threshold": "1 GiB",'
    replace(project / "dfx.json", '"wasm_memory_limit"', f'{threshold}\n        "wasm_memory_limit"')
    commit(project)
    update(project, NEWEST)
    assert conflicts(project) == {"dfx.json"}
    before, conflict, _ = re.split("<<<<<<<|>>>>>>>", (project / "dfx.json").read_text())
    ours, theirs = conflict.split("=======")
    assert threshold in ours and "initialization_values" in ours and not theirs.strip()
    assert '"post_install": "dfx canister update-settings hello_backend --wasm-memory-limit \'6 GiB\'",' in before


def test_in_every_file_the_owners_line_and_the_templates_news_stand_together(start: Generate, fresh: Generate) -> None:
    project = start(NEWEST)
    for name in FILES - {".copier-answers.yml"}:
        (project / name).write_text((project / name).read_text() + "mine\n")
    commit(project)
    update(project, NEXT)
    for name, (_, content) in files(fresh(NEXT)).items():
        before = (fresh(NEWEST) / name).read_bytes()
        assert name == ".copier-answers.yml" or content != before, f"no news in {name}"
        content = before if name in BY_PROGRAMS else content
        assert (project / name).read_bytes() == content + (b"mine\n" if name != ".copier-answers.yml" else b"")


def test_where_owner_and_template_changed_the_same_line_both_are_shown(start: Generate) -> None:
    project = start(NEWEST)
    replace(project / LIB, "fn did_file_is_up_to_date", "fn says_good_day")
    commit(project)
    update(project, NEXT)
    assert conflicts(project) == {LIB}
    text = (project / LIB).read_text()
    assert (
        text.index("<<<<<<<") < text.index("says_good_day") < text.index("did_file_is_current") < text.index(">>>>>>>")
    )


def test_what_the_owner_deleted_stays_deleted(start: Generate) -> None:
    deleted = {"README.md", ".gitignore", "build.sh", *DELETED, LIB}
    project = start(NEWEST)
    for name in deleted:
        (project / name).unlink()
    commit(project)
    update(project, NEXT, timers=False)
    assert not deleted & files(project).keys()
    assert not conflicts(project)


@pytest.mark.parametrize("before", [True, False])
def test_an_untouched_project_with_every_answer_changed_is_a_fresh_copy(
    start: Generate, fresh: Generate, before: bool
) -> None:
    answers = [dict.fromkeys(YES_NO, answer) for answer in (before, not before)]
    project = start(NEWEST, **answers[0])
    if before:
        for file in OPTIONAL_FILES:
            (project / file).unlink()
        commit(project)
    update(project, **answers[1])
    expected = files(fresh(NEWEST, **answers[1])) | {
        name: files(fresh(NEWEST, **answers[0]))[name] for name in BY_PROGRAMS
    }
    assert files(project) == expected


@pytest.mark.parametrize("question", OPTIONAL)
def test_an_answer_that_would_delete_files_is_refused_until_their_owner_deletes_them(
    start: Generate, question: str
) -> None:
    project = start(NEWEST, **{question: True})
    files = OPTIONAL[question]
    for there in (files, files[-1:]):
        for file in set(files) - set(there):
            (project / file).unlink()
        commit(project)
        with pytest.raises(ValueError, match=f"deletes {' and '.join(there)}, with") as refusal:
            update(project, **{question: False})
        assert git(project, "status", "--porcelain") == ""
    (command,) = re.findall("Run (.*) first: ", str(refusal.value))
    run(command, project)
    update(project, **{question: False})
    assert f"{question}: false\n" in (project / ".copier-answers.yml").read_text()


def test_a_test_of_the_owners_own_with_the_name_of_the_templates_stands_in_no_updates_way(start: Generate) -> None:
    file = "src/hello_backend/tests/pocket_ic.rs"
    for version in (NEWEST, *(f"v{version}" for version in RELEASES)):
        project = start(version)
        (project / file).parent.mkdir(parents=True)
        (project / file).write_text("// mine\n")
        commit(project)
        update(project, NEXT)
        assert (project / file).read_text() == "// mine\n"
        shutil.rmtree(project)


def test_a_file_that_the_owner_made_first_is_kept_beside_the_templates(start: Generate) -> None:
    project = start(NEWEST, **dict.fromkeys(OPTIONAL, False))
    for file in OPTIONAL_FILES:
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text("# mine\n")
    commit(project)
    update(project, **dict.fromkeys(OPTIONAL, True))
    assert conflicts(project) == set(OPTIONAL_FILES)
    assert all("# mine\n" in (project / file).read_text() for file in OPTIONAL_FILES)


def test_a_project_that_exists_may_share_a_crates_name(start: Generate) -> None:
    project = start(NEWEST, canister_name="time")
    update(project, pocket_ic=True)
    assert (project / "src/time/tests/pocket_ic.rs").is_file()


def test_an_update_cannot_rename_the_canister(start: Generate) -> None:
    project = start(NEWEST)
    with pytest.raises(ValueError, match='Keep "hello_backend": an update cannot rename it'):
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
        ("names.jinja", '"^(aux|', '"^(hello_backend|aux|', 'Try "hello_backend_app": "hello_backend" is a device'),
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
    (retire,) = re.findall(
        r"^ +(- \"{% if _copier_operation .*)$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
    )
    replace(another_next / "copier.yml", "_exclude:\n", f"_exclude:\n  {retire.replace('FILE', 'src/*/src/lib.rs')}\n")
    commit(another_next, "v9999.2.0")
    project = start(NEWEST)
    add(project)
    commit(project)
    before = files(project)
    update(project, "v9999.2.0")
    assert files(project)[LIB] == before[LIB]
    assert (project / LIB).with_name("main.rs").is_file()


def test_a_project_in_a_folder_of_a_larger_repository_is_updated_and_taken_back_alone(
    fresh: Generate, tmp_path: Path
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
    (tmp_path / "all/README.md").write_text("All my projects, and what is not committed.\n")
    (project / "new.txt").touch()
    (go_back,) = [line for line in commands(HOW_TO / "update.md", "git restore").splitlines() if "git restore" in line]
    run(go_back.replace("clean -d -i", "clean -d --force"), project)
    assert git(tmp_path / "all", "status", "--porcelain") == " M README.md\n"


def test_a_project_from_a_relative_source_finds_its_template_again(
    versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(versions)
    copier.run_copy(".", tmp_path / "hello", vcs_ref=NEWEST, defaults=True, quiet=True, unsafe=False)
    monkeypatch.chdir(tmp_path / "hello")
    commit(tmp_path / "hello")
    update(Path(), NEXT)
    assert nightly() not in Path("rust-toolchain.toml").read_text()
