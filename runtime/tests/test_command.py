"""Candid text, sizes, and the command line."""

import re

import pytest

from runtime import CandidError, Canister, parse_size
from runtime.__main__ import main
from runtime.tests.modules import PRELUDE, wasm

INTERFACE = """service : {
  echo : (nat32, opt record { name : text }) -> (nat32, opt record { name : text }) query;
  lone : (nat) -> (nat);
}"""


def echo(interface: str = INTERFACE) -> bytes:
    """Return a module whose methods reply with their argument."""
    text = interface.replace("\n", "\\n")
    return wasm(f'(@custom "icp:public candid:service" "{text}") {PRELUDE}')


def test_candid_is_typed_and_named_by_the_interface():
    for canister in (Canister.install(echo()), Canister.install(echo(""), did=INTERFACE)):
        assert canister.did == INTERFACE
        assert canister.call("echo", '(1, opt record { name = "é" })') == '(1 : nat32, opt record { name = "é" })'


def test_candid_is_untyped_without_an_interface():
    canister = Canister.install(echo(""))
    assert (canister.did, canister.call("echo", "(5)")) == (None, "(5 : int)")


def test_candid_of_a_wrong_type_is_an_error():
    module = echo(INTERFACE.replace("service : ", "service : (nat8) -> "))
    canister = Canister.install(module, "(255)")
    with pytest.raises(CandidError):
        Canister.install(module, "(256)")
    for args in ("(", "(true)"):
        with pytest.raises(CandidError):
            canister.call("lone", args)


def test_size_is_read_as_in_dfx_json():
    sizes = {"6 GiB": 6 << 30, "6gib": 6 << 30, "1 kB": 1000, 5: 5, "7 B": 7}
    assert {text: parse_size(text) for text in sizes} == sizes
    for text in ("six", "6 Gi", "-1", "300 TiB"):
        with pytest.raises(ValueError, match=re.escape(text)):
            parse_size(text)


def run(folder, words: str) -> int:
    """Run the command line on a module in the folder."""
    (folder / "echo.wasm").write_bytes(echo())
    return main([str(folder / "echo.wasm"), *words.split()])


def test_command_line_prints_just_replies(tmp_path, capsys):
    assert run(tmp_path, "call lone (7) advance 60 upgrade call lone (8)") == 0
    assert capsys.readouterr() == ("(7 : nat)\n(8 : nat)\n", "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("call nope", "IC0536"),
        ("call lone (true)", "type mismatch"),
        ("upgrade missing.wasm", "missing.wasm"),
        ("jump", "Write an action"),
        ("--wasm-memory-limit 9kB", "IC0539"),
        ("--helper none", "Build the helper first: cargo build --release --locked"),
    ],
)
def test_command_line_says_why_it_failed(words, reason, tmp_path, capsys):
    assert run(tmp_path, words) == 1
    output = capsys.readouterr()
    assert output.out == "" and reason in output.err and "Traceback" not in output.err
