"""The questions at a terminal."""

from pathlib import Path

import pexpect
from conftest import Generate, commit, copy
from projects import NEWEST, OPTIONAL, YES_NO
from terminal import clear, copier, first_words, see


def test_every_question_can_be_answered_and_a_wrong_answer_mended(snapshot: Path, tmp_path: Path) -> None:
    terminal = copier(tmp_path, "copy", str(snapshot), "my-app")
    see(terminal, first_words("project_name"))
    see(terminal, "my-app")
    terminal.send("\r")
    see(terminal, first_words("canister_name"))
    see(terminal, "my_app_backend")
    clear(terminal)
    terminal.send("match\r")
    see(terminal, 'Try "match_app": "match" is a')
    clear(terminal)
    terminal.send("greeter\r")
    for question in ("timers", "shrink", "gzip"):
        see(terminal, first_words(question))
        terminal.send("n")
    see(terminal, first_words("wasm_memory_limit"))
    clear(terminal)
    terminal.send("5 GiB\r")
    for question in [question for question in OPTIONAL if question != "timers"]:
        see(terminal, first_words(question))
        terminal.send("n")
    see(terminal, "call greeter greet")
    terminal.expect(pexpect.EOF)
    answers = {"project_name": "my-app", "canister_name": "greeter", "wasm_memory_limit": "5 GiB"}
    answers |= dict.fromkeys(YES_NO, False)
    copy(snapshot, tmp_path / "data", **answers)
    names = {path.relative_to(tmp_path / "data") for path in (tmp_path / "data").rglob("*") if path.is_file()}
    for name in names - {Path(".copier-answers.yml")}:
        assert (tmp_path / "my-app" / name).read_bytes() == (tmp_path / "data" / name).read_bytes()


def test_an_update_asks_for_a_test_on_pocketic_though_the_owner_has_one(start: Generate) -> None:
    project = start("v1.0.0")
    own = project / OPTIONAL["pocket_ic"][0]
    own.parent.mkdir()
    own.write_text("// mine\n")
    commit(project)
    terminal = copier(project, "update", f"--vcs-ref={NEWEST}")
    for question in ("timers", "shrink", "gzip", "wasm_memory_limit", "pocket_ic"):
        see(terminal, first_words(question))
        terminal.send("\r")
    terminal.expect(pexpect.EOF)
    assert own.read_text() == "// mine\n"


def test_an_update_asks_what_can_be_changed_and_no_names(snapshot: Path, tmp_path: Path) -> None:
    project = copy(snapshot, tmp_path / "hello", canister_name="greeter", **dict.fromkeys(OPTIONAL, True))
    commit(project)
    terminal = copier(project, "update", "--vcs-ref=:current:")
    see(terminal, first_words("shrink"))
    assert first_words("project_name") not in terminal.before
    assert first_words("canister_name") not in terminal.before
    terminal.send("n")
    for question in ("gzip", "wasm_memory_limit"):
        see(terminal, first_words(question))
        terminal.send("\r")
    terminal.expect(pexpect.EOF)
    # To say no would delete their files.
    for question in OPTIONAL:
        assert first_words(question) not in terminal.before
    assert '"shrink": false' in (project / "dfx.json").read_text()
