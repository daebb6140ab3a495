"""The questions: which answers are taken, which are refused, and with what words."""

import re
import string
import tomllib
from collections.abc import Callable
from pathlib import Path

import jinja2
import jinja2.meta
import pytest
import yaml
from conftest import QUESTIONS, ROOT, copy
from jinja2_ansible_filters import AnsibleCoreFiltersExtension
from projects import YES_NO

LETTERS = "Use a-z, 0-9"
TOO_LONG = "a" * 65


def refused(template: Path, folder: Path, **answers: str) -> str:
    """The message with which Copier refuses these answers; nothing is written."""
    with pytest.raises(ValueError) as refusal:
        copy(template, folder / "hello", **answers)
    assert not (folder / "hello").exists()
    return str(refusal.value)


@pytest.mark.parametrize("question", ["project_name", "canister_name"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (TOO_LONG, "The name has 65"),
        ("Hello", LETTERS),
        ("hello world", LETTERS),
        ("hello.rs", LETTERS),
        ("src/hello", LETTERS),
        ("..", LETTERS),
        ("/hello", LETTERS),
        ("1hello", "a letter first"),
        ("_hello", "a letter first"),
        ("héllo", LETTERS),
        ("match", 'Try "match_app": "match" is a Rust keyword.'),
        ("async", "Rust keyword"),
        ("gen", "Rust keyword"),
        ("std", "crate that comes with Rust"),
        ("core", "crate that comes with Rust"),
        ("test", "crate that comes with Rust"),
        ("null", "a value in YAML"),
        ("con", "device on Windows"),
        ("nul", "device on Windows"),
        ("com1", "device on Windows"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    template: Path, tmp_path: Path, question: str, name: str, message: str
) -> None:
    assert message in refused(template, tmp_path, **{question: name})


def test_a_hyphen_is_refused_in_a_canister_name(template: Path, tmp_path: Path) -> None:
    assert LETTERS in refused(template, tmp_path, canister_name="hello-backend")


@pytest.mark.parametrize("name", ["h", "hello", "h2_o", "matches", "core_app", "a" * 64])
def test_a_canister_may_have_any_other_name(template: Path, tmp_path: Path, name: str) -> None:
    project = copy(template, tmp_path / "hello", canister_name=name)
    assert (project / f"src/{name}/{name}.did").is_file()


@pytest.mark.parametrize(
    ("folder", "project_name", "canister_name"),
    [
        ("hello", "hello", "hello_backend"),
        ("my-app", "my-app", "my_app_backend"),
        ("My App (2)", "my-app-2", "my_app_2_backend"),
        ("2048.game", "game", "game_backend"),
        ("🦀", "hello", "hello_backend"),
        ("core", "core_app", "core_app_backend"),
        ("a" * 80, "a" * 48, "a" * 48 + "_backend"),
    ],
)
def test_the_folder_gives_the_default_names(
    template: Path, tmp_path: Path, folder: str, project_name: str, canister_name: str
) -> None:
    project = copy(template, tmp_path / folder)
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert (answers["project_name"], answers["canister_name"]) == (project_name, canister_name)


def test_the_folder_may_be_the_current_one(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hello").mkdir()
    monkeypatch.chdir(tmp_path / "hello")
    copy(template, Path())
    assert Path("README.md").read_text().startswith("# hello\n")


@pytest.mark.parametrize(
    "limit", ["0", "6442450944", "6 GiB", "6GiB", "512 MiB", "4 GB", "2000 kB", "1048576 B", "256 TiB"]
)
def test_a_memory_limit_is_taken_as_dfx_takes_it(template: Path, tmp_path: Path, limit: str) -> None:
    project = copy(template, tmp_path / "hello", wasm_memory_limit=limit)
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert answers["wasm_memory_limit"] == limit


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("-1", "no memory size"),
        ("-6 GiB", "no memory size"),
        ("6 apples", "no memory size"),
        ("6 Gi", "no memory size"),
        ("6.5 GiB", "no memory size"),
        ("six GiB", "no memory size"),
        ("6 iB", "no memory size"),
        ("6 GIB", "no memory size"),
        ("6 ", "no memory size"),
        ("6", "less than the stack"),
        ("600 KiB", "less than the stack"),
        ("281474976710657", "more than the IC allows"),
        ("257 TiB", "more than the IC allows"),
        ("1 YiB", "more than the IC allows"),
    ],
)
def test_a_memory_limit_that_cannot_be_is_refused(template: Path, tmp_path: Path, limit: str, message: str) -> None:
    assert message in refused(template, tmp_path, wasm_memory_limit=limit)


@pytest.mark.parametrize("answer", ["flase", "maybe", "", "2"])
def test_a_word_that_is_neither_yes_nor_no_is_refused(template: Path, tmp_path: Path, answer: str) -> None:
    for question in YES_NO:
        assert f'Write yes or no. "{answer}" is neither.' in refused(template, tmp_path, **{question: answer})


@pytest.mark.parametrize("answer", ["no", "False", "off", "0", False])
def test_no_is_no_in_any_usual_word(template: Path, tmp_path: Path, answer: str | bool) -> None:
    project = copy(template, tmp_path / "hello", timers=answer)
    assert yaml.safe_load((project / ".copier-answers.yml").read_text())["timers"] is False


@pytest.mark.parametrize("pocket_ic", [True, False])
def test_a_canister_cannot_have_the_name_of_a_crate_in_its_lock(
    template: Path, tmp_path: Path, pocket_ic: bool
) -> None:
    """Cargo would tell the two apart by more than their names, and write another lock."""
    lock = tomllib.loads((copy(template, tmp_path / "hello", pocket_ic=pocket_ic) / "Cargo.lock").read_text())
    crates = {package["name"].replace("-", "_") for package in lock["package"]} - {"hello_backend"}
    render = recorded_macros(ROOT)
    assert {"candid", "ic_cdk", "serde"} < crates
    for name in crates:
        assert render(name, pocket_ic) == f'Think: "{name}" is a crate in this project\'s Cargo.lock.'
    assert render("hello_backend", pocket_ic) == ""


def recorded_macros(template: Path) -> Callable[[str, bool], str]:
    """The macro that refuses a crate's name in a new project."""
    conf = {"dst_path": "/nowhere", "answers_file": ".copier-answers.yml"}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template),
        extensions=[AnsibleCoreFiltersExtension],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = '{% from "includes/recorded.jinja" import crate_error with context %}{{ crate_error(name, pocket_ic, "Think") }}'
    compiled = environment.from_string(text)
    return lambda name, pocket_ic: compiled.render(name=name, pocket_ic=pocket_ic, _copier_conf=conf)


def test_a_crate_that_only_pocketic_needs_is_a_name_without_it(template: Path, tmp_path: Path) -> None:
    assert 'Answer no, or begin again with another canister name: "time" is a crate' in refused(
        template, tmp_path, canister_name="time", pocket_ic=True
    )
    assert (copy(template, tmp_path / "hello", canister_name="time") / "src/time").is_dir()


@pytest.mark.parametrize("crate", ["candid", "ic_cdk", "ic_cdk_timers", "serde"])
def test_a_new_canister_with_the_name_of_a_crate_is_refused(template: Path, tmp_path: Path, crate: str) -> None:
    assert "is a crate in this project's Cargo.lock" in refused(template, tmp_path, canister_name=crate)


def test_a_project_may_have_the_name_of_a_crate(template: Path, tmp_path: Path) -> None:
    assert (copy(template, tmp_path / "candid") / "src/candid_backend").is_dir()


def test_an_answer_that_no_question_asks_for_fails(template: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no question asks for"):
        copy(template, tmp_path / "hello", timer=False)


def test_each_question_says_what_it_does_and_whether_it_can_be_changed() -> None:
    for name, question in QUESTIONS.items():
        assert re.search(r"(Asked once|Can be changed later)\.$", question["help"]), name


def test_every_variable_is_asked_for_and_every_question_is_used() -> None:
    environment = jinja2.Environment(extensions=[AnsibleCoreFiltersExtension])
    files = [path for path in (ROOT / "template").rglob("*") if path.is_file()]
    texts = [str(path.relative_to(ROOT)) for path in files]
    texts += [path.read_text() for path in files if path.suffix == ".jinja"]
    used = set().union(*(jinja2.meta.find_undeclared_variables(environment.parse(text)) for text in texts))
    assert used - {"_copier_conf", "_copier_answers"} == QUESTIONS.keys()


def test_every_name_in_the_template_can_be_a_file_on_windows() -> None:
    for path in (ROOT / "template").rglob("*"):
        assert not set(path.name) & set('<>:"\\|?*'), path
        assert path.name.isprintable() and set(path.name) <= set(string.printable), path
