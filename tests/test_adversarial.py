"""Hostile answers: in each of the ways to answer, what is refused says why, and what is taken gives files that work."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pexpect
import pytest
import yaml
from conftest import Generate, build
from projects import OPTIONAL
from terminal import copier, first_words, see

HOSTILE = {
    "a single quote": "it's",
    "double quotes": 'the "one"',
    "a backslash": "src\\hello",
    "emoji": "hello🦀",
    "right-to-left text": "שלום",
    "right-to-left digits": "٦ GiB",
    "a right-to-left override": "hello\u202eolleh",
    "a Jinja expression": "{{ 7 * 7 }}",
    "a Jinja statement": "{% raw %}",
    "a shell variable": "${HOME}",
    "a shell command": "$(touch owned)",
    "a newline": "hello\nworld",
    "a newline at the end": "6 GiB\n",
    "200 characters": "a" * 200,
    "200 digits": "9" * 200,
    "a leading hyphen": "-hello",
    "an option": "--trust",
    "YAML's no": "no",
    "YAML's number": "1e3",
    "nothing": "",
}
TEXT_QUESTIONS = ("project_name", "canister_name", "wasm_memory_limit")
REDRAW = "\x0c"
"""The key that shows the whole screen again; a terminal is otherwise sent just what differs from the last message."""
EXTREMES = [
    {"project_name": "a" * 48, "canister_name": "z" * 64, "wasm_memory_limit": "0"},
    {"project_name": "h-2_-o--", "canister_name": "h", "wasm_memory_limit": "256 TiB"},
    {"project_name": "core-app", "canister_name": "core_app", "wasm_memory_limit": "1048576 B"},
]
"""Answers at the edge of what is allowed."""


def why(question: str, answer: str) -> str:
    """The words with which a question refuses one of `HOSTILE`."""
    quoted = json.dumps(answer, ensure_ascii=False)
    if question == "wasm_memory_limit":
        if answer.isdecimal():
            return f"Write at most 256 TiB, or 0 for no limit. {answer} is more than the IC allows."
        return f"Write a size such as 6 GiB, or a number of bytes. {quoted} is no memory size."
    if answer == "no":
        return 'Try "no_app": "no" is a value in YAML, not a name.'
    if answer == "a" * 200:
        return f"Use at most {48 if question == 'project_name' else 64} characters. The name has 200."
    allowed = "a-z, 0-9, _ and -" if question == "project_name" else "a-z, 0-9 and _"
    return f"Use {allowed}, a letter first. {quoted if answer else 'An empty name'} is not allowed."


def copier_copy(template: Path, folder: Path, *args: str) -> None:
    """`copier copy --defaults`, the command itself but in this process; what it raises would be printed with exit 1."""
    (command,) = entry_points(group="console_scripts", name="copier")
    _, status = command.load()(["copier", "copy", "--defaults", *args, str(template), str(folder)], exit=False)
    assert status == 0


def data(**answers: str) -> list[str]:
    return [arg for name, answer in answers.items() for arg in ("--data", f"{name}={answer}")]


def data_file(folder: Path, text: str) -> list[str]:
    (folder / "answers.yml").write_text(text)
    return ["--data-file", str(folder / "answers.yml")]


@pytest.mark.parametrize("question", TEXT_QUESTIONS)
@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_refused_as_data(template: Path, tmp_path: Path, question: str, answer: str) -> None:
    ways = [data(**{question: answer})]
    if question == "canister_name":  # Copier reads a file just as it does for the others.
        ways.append(data_file(tmp_path, yaml.safe_dump({question: answer})))
    for args in ways:
        with pytest.raises(ValueError) as refusal:
            copier_copy(template, tmp_path / "hello", *args)
        assert str(refusal.value) == f"Validation error for question '{question}': {why(question, answer)}"
        assert not (tmp_path / "hello").exists()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("canister_name: no", '"False" is not allowed'),
        ("canister_name: on", '"True" is not allowed'),
        ("canister_name: 2048", '"2048" is not allowed'),
        ("canister_name: null", 'Invalid answer "None"'),
        ("canister_name: [hello]", "Could not convert ['hello'] to string"),
        ("canister_name: 2026-11-22", "Could not convert 2026-11-22 to string"),
        ("wasm_memory_limit: 1e3", '"1e3" is no memory size'),
        ("wasm_memory_limit: 1.0e+3", '"1000.0" is no memory size'),
        ("wasm_memory_limit: -1", '"-1" is no memory size'),
        ("wasm_memory_limit: no", '"False" is no memory size'),
        ("wasm_memory_limit: {GiB: 6}", "Could not convert {'GiB': 6} to string"),
    ],
)
def test_what_yaml_takes_for_another_type_is_refused(template: Path, tmp_path: Path, answer: str, why: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(why)):
        copier_copy(template, tmp_path / "hello", *data_file(tmp_path, answer))
    assert not (tmp_path / "hello").exists()


@pytest.mark.parametrize(
    ("limit", "written"),
    [("6442450944", "6442450944"), ("0", "0"), ("6 GiB", "6 GiB"), ("'007000000'", "7000000")],
)
def test_a_number_of_bytes_in_a_data_file_is_a_memory_limit(
    template: Path, tmp_path: Path, limit: str, written: str
) -> None:
    copier_copy(template, tmp_path / "hello", *data_file(tmp_path, f"wasm_memory_limit: {limit}"))
    canister = json.loads((tmp_path / "hello/dfx.json").read_text())["canisters"]["hello_backend"]
    assert canister["post_install"].endswith(f" --wasm-memory-limit '{written}'")


def test_a_number_that_is_too_long_to_compute_with_is_no_memory_limit(template: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is more than the IC allows"):
        copier_copy(template, tmp_path / "hello", *data(wasm_memory_limit="9" * 5000))


def test_the_command_fails_with_the_reason_on_its_last_line(snapshot: Path, tmp_path: Path) -> None:
    answers = {"project_name": "my-app", "canister_name": HOSTILE["a shell command"]}
    for args in (data(**answers), data_file(tmp_path, yaml.safe_dump(answers))):
        command = [sys.executable, "-m", "copier", "copy", "--defaults", *args, str(snapshot), "hello"]
        result = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1].endswith(why("canister_name", answers["canister_name"]))
        assert {path.name for path in tmp_path.iterdir()} <= {"answers.yml"}


def test_a_hostile_answer_at_the_prompt_is_refused_and_can_be_mended(snapshot: Path, tmp_path: Path) -> None:
    terminal = copier(tmp_path, "copy", str(snapshot), "hello")
    standing = {"project_name": "hello", "canister_name": "mended_backend", "wasm_memory_limit": "6 GiB"}
    mended = {"project_name": "mended", "canister_name": "greeter", "wasm_memory_limit": "5 GiB"}
    for question in TEXT_QUESTIONS:
        see(terminal, first_words(question))
        see(terminal, standing[question])
        length = len(standing[question])
        for answer in HOSTILE.values() if question == "canister_name" else ("it's", "{{ 7 * 7 }}", "hello\nworld"):
            terminal.send("\x7f" * length + pasted(answer) + "\r" + REDRAW)
            see(terminal, why(question, answer)[:60])
            length = len(answer)
        terminal.send("\x7f" * length + mended[question] + "\r")
        if question == "canister_name":
            for switch in ("timers", "shrink", "gzip"):
                see(terminal, first_words(switch))
                terminal.send("\r")
    for switch in [switch for switch in OPTIONAL if switch != "timers"]:
        see(terminal, first_words(switch))
        terminal.send("\r")
    terminal.expect(pexpect.EOF)
    answers = yaml.safe_load((tmp_path / "hello/.copier-answers.yml").read_text())
    assert {question: answers[question] for question in TEXT_QUESTIONS} == mended


def pasted(text: str) -> str:
    """The keys for `text`; what a key would do otherwise, a terminal pastes."""
    return text if text.isprintable() else f"\x1b[200~{text}\x1b[201~"


@pytest.mark.parametrize("answers", EXTREMES, ids=lambda answers: answers["canister_name"])
def test_an_extreme_answer_gives_files_that_parse_and_commands_that_run(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], answers: dict[str, str]
) -> None:
    project, name = tmp_path / "it's $HOME {{ x }} 🦀" / "hello", answers["canister_name"]
    copier_copy(template, project, *data(**answers))
    message = capsys.readouterr().err.split(f"{answers['project_name']} is ready.")[1]
    parsed = parse(project)
    assert parsed["Cargo.toml"]["workspace"]["members"] == [f"src/{name}"]
    assert parsed[f"src/{name}/Cargo.toml"]["package"]["name"] == name
    assert name in {package["name"] for package in parsed["Cargo.lock"]["package"]}
    assert parsed["dfx.json"]["canisters"].keys() == {name}
    assert parsed["icp.yaml"]["canisters"][0]["name"] == name
    assert answers.items() <= parsed[".copier-answers.yml"].items()

    readme = (project / "README.md").read_text()
    assert readme.startswith(f"# {answers['project_name']}\n")
    in_readme, in_message = indented(readme), indented(message)
    for commands in (in_readme, in_message):
        assert ["icp", "canister", "call", "--query", name, "greet", '("ICP")'] in map(shlex.split, commands)
    assert parsed["icp.yaml"]["canisters"][0]["recipe"]["configuration"]["package"] == name
    script = "\n".join(["#!/usr/bin/env bash", *in_readme, *in_message[1:]])
    (tmp_path / "commands.sh").write_text(script + "\n")
    shellcheck = [str(Path(sys.executable).with_name("shellcheck")), "build.sh", str(tmp_path / "commands.sh")]
    result = subprocess.run(shellcheck, cwd=project, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout
    change_folder = ["bash", "-c", f"{in_message[0]} && pwd"]
    assert subprocess.run(change_folder, text=True, capture_output=True, check=True).stdout == f"{project}\n"


def parse(project: Path) -> dict[str, dict]:
    """What each configuration file of a project says, by name."""
    parsers = {".toml": tomllib.loads, ".lock": tomllib.loads, ".json": json.loads}
    parsers |= {".yml": yaml.safe_load, ".yaml": yaml.safe_load}
    paths = [path for path in project.rglob("*") if path.suffix in parsers]
    return {path.relative_to(project).as_posix(): parsers[path.suffix](path.read_text()) for path in paths}


def indented(text: str) -> list[str]:
    """The commands of a text: its lines that are indented."""
    return re.findall(r"^ {2,}(\S.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("answers", EXTREMES, ids=lambda answers: answers["canister_name"])
def test_an_extreme_answer_is_the_same_in_a_data_file(template: Path, tmp_path: Path, answers: dict[str, str]) -> None:
    copier_copy(template, tmp_path / "data", *data(**answers))
    unquoted = "".join(f"{name}: {answer}\n" for name, answer in answers.items())
    copier_copy(template, tmp_path / "file", *data_file(tmp_path, unquoted))
    assert parse(tmp_path / "file") == parse(tmp_path / "data")


@pytest.mark.rust
@pytest.mark.parametrize("answers", EXTREMES[:1], ids=lambda answers: answers["canister_name"])
def test_an_extreme_answer_gives_a_canister_that_builds(project: Generate, answers: dict[str, str]) -> None:
    folder = project(**answers)
    canister = json.loads((folder / "dfx.json").read_text())["canisters"][answers["canister_name"]]
    (folder / canister["wasm"]).unlink(missing_ok=True)  # An earlier run may have left it in the shared target folder.
    result = build(folder, *canister["build"].removeprefix("bash build.sh ").split())
    assert result.returncode == 0, result.stderr
    assert (folder / canister["wasm"]).read_bytes().startswith(b"\0asm")
