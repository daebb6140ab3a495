"""The canister, generated and compiled: what it answers, and what an upgrade does to it."""

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from canister import Canister
from conftest import Generate
from picture import PICTURE
from pocketic import PocketIcCanister, PocketIcError

pytestmark = pytest.mark.rust

TIMER_FUNCTIONS = {"global_timer_set"}
RUNTIMES = {"wasmtime": Canister} | ({"PocketIC": PocketIcCanister} if os.environ.get("POCKET_IC_BIN") else {})


@pytest.fixture(params=RUNTIMES)
def install(request: pytest.FixtureRequest) -> Generate:
    """`install(module)` installs a module into a new canister, on each runtime that there is."""
    return RUNTIMES[request.param].install


def test_greet_says_wasm64(install: Generate, module: Generate) -> None:
    canister = install(module())
    assert canister.word_bits == 64
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm64")'


@pytest.mark.pins
def test_the_picture_in_the_readme_shows_the_modules_size(module: Generate) -> None:
    shown = " ".join(ElementTree.parse(PICTURE).getroot().itertext())
    assert f": {module().stat().st_size} bytes, sha256 " in shown, "run make picture"


def test_the_same_source_built_for_wasm32_says_wasm32(install: Generate, module: Generate) -> None:
    canister = install(module("wasm32-unknown-unknown"))
    assert canister.word_bits == 32
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm32")'


@pytest.mark.parametrize("name", ["", "Zoë 🦀", "a" * 100_000], ids=["empty", "Unicode", "long"])
def test_greet_takes_any_name(install: Generate, module: Generate, name: str) -> None:
    assert f'"Hello, {name}! Powered by wasm64"' in install(module()).call("greet", f'("{name}")')


def test_the_module_goes_without_the_text_of_its_interface(module: Generate, project: Generate) -> None:
    """dfx.json and icp.yaml publish the .did file; in the module nobody reads it."""
    assert "get_candid_pointer" not in Canister.install(module()).exports
    assert b"Minutes since the canister" not in module().read_bytes()
    assert "Minutes since the canister" in (project() / "src/hello_backend/hello_backend.did").read_text()


def test_timers_tick_once_a_minute(install: Generate, module: Generate) -> None:
    canister = install(module())
    assert canister.call("ticks") == "(0 : nat64)"
    canister.advance(59)
    assert canister.call("ticks") == "(0 : nat64)"
    canister.advance(1)
    assert canister.call("ticks") == "(1 : nat64)"
    canister.advance(10 * 60)
    assert canister.call("ticks") == "(11 : nat64)"


def test_timers_tick_again_after_an_upgrade(install: Generate, module: Generate) -> None:
    canister = install(module())
    canister.advance(60)
    canister.upgrade()
    assert canister.call("ticks") == "(0 : nat64)"
    canister.advance(120)
    assert canister.call("ticks") == "(2 : nat64)"


def test_without_timers_the_module_imports_no_timer_function(install: Generate, module: Generate) -> None:
    assert TIMER_FUNCTIONS <= install(module()).imports
    canister = install(module(timers=False))
    assert not TIMER_FUNCTIONS & canister.imports
    assert not any("timer" in name for name in canister.exports)
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm64")'


@pytest.mark.parametrize("program", ["missing", sys.executable], ids=["nothing", "another program"])
def test_what_is_no_pocketic_server_is_an_error(
    module: Generate, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKET_IC_BIN", str(tmp_path / program))
    with pytest.raises(PocketIcError, match="POCKET_IC_BIN"):
        PocketIcCanister.install(module())


def test_tools_pocketic_py_runs_a_module_on_the_same_server(
    module: Generate, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKET_IC_BIN", server)
    canister = PocketIcCanister.install(module())
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm64")'
    canister.advance(60)
    assert canister.call("ticks") == "(1 : nat64)"
    canister.upgrade()
    assert canister.call("ticks") == "(0 : nat64)"
