"""Candid, sizes, and the command line."""

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
    canister = Canister.install(echo())
    assert canister.did == INTERFACE
    assert canister.call("echo", '(1, opt record { name = "é" })') == '(1 : nat32, opt record { name = "é" })'
    assert canister.call("lone", "(1_000_000)") == "(1_000_000 : nat)"
    assert Canister.install(echo(""), did=INTERFACE).call("lone", "(5)") == "(5 : nat)"


def test_candid_is_untyped_without_an_interface():
    canister = Canister.install(echo(""))
    assert (canister.did, canister.call("echo", "(5)")) == (None, "(5 : int)")


@pytest.mark.parametrize("args", ["(", "(true)", '("text")'])
def test_wrong_candid_is_an_error(args):
    with pytest.raises(CandidError):
        Canister.install(echo()).call("lone", args)


def test_init_takes_what_the_constructor_declares():
    module = echo(INTERFACE.replace("service : ", "service : (nat8) -> "))
    Canister.install(module, "(255)")
    with pytest.raises(CandidError):
        Canister.install(module, "(256)")


@pytest.mark.parametrize(
    ("text", "size"),
    [("6 GiB", 6 << 30), ("6GiB", 6 << 30), ("1 kB", 1000), (5, 5), ("7 B", 7), ("0", 0), ("1 mib", 1 << 20)],
)
def test_size_is_read_as_in_dfx_json(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["six", "6 Gi", "-1", "1.5 GiB", "300 TiB"])
def test_wrong_size_is_refused(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        parse_size(text)


def test_command_line_prints_just_replies(tmp_path, capsys):
    module = tmp_path / "echo.wasm"
    module.write_bytes(echo())
    words = ["call", "lone", "(7)", "advance", "60", "upgrade", "call", "lone", "(8)"]
    assert main([str(module), "--wasm-memory-limit", "1 MiB", *words]) == 0
    assert capsys.readouterr() == ("(7 : nat)\n(8 : nat)\n", "")


@pytest.mark.parametrize(
    "words",
    [
        "call nope",
        "call lone (true)",
        "upgrade missing.wasm",
        "call",
        "jump",
        "--wasm-memory-limit 9kB",
        "--helper none",
    ],
)
def test_command_line_says_why_it_failed(words, tmp_path, capsys):
    module = tmp_path / "echo.wasm"
    module.write_bytes(echo())
    assert main([str(module), *words.split()]) == 1
    output = capsys.readouterr()
    assert output.out == "" and output.err and "Traceback" not in output.err
