"""The canister, generated and compiled: what it answers, and what an upgrade does to it."""

import subprocess

import pytest
from canister import Canister
from conftest import Generate
from workspace import native_tool

pytestmark = pytest.mark.rust

TIMER_FUNCTIONS = {"global_timer_set"}


def test_greet_says_wasm64(module: Generate) -> None:
    canister = Canister.install(module())
    assert canister.word_bits == 64
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm64")'


def test_the_same_source_built_for_wasm32_says_wasm32(module: Generate) -> None:
    canister = Canister.install(module("wasm32-unknown-unknown"))
    assert canister.word_bits == 32
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm32")'


@pytest.mark.parametrize("name", ["", "Zoë 🦀", "a" * 100_000])
def test_greet_takes_any_name(module: Generate, name: str) -> None:
    assert f'"Hello, {name}! Powered by wasm64"' in Canister.install(module()).call("greet", f'("{name}")')


@pytest.mark.parametrize("timers", [True, False])
def test_the_did_is_the_interface_that_the_module_exports(module: Generate, project: Generate, timers: bool) -> None:
    exported = Canister.install(module(timers=timers)).did.replace("service : () -> {", "service : {")
    did = (project(timers=timers) / "src/hello_backend/hello_backend.did").read_text()
    assert not difference(exported, did)
    assert difference(exported, did.replace("(text) query", "(text)"))


def difference(did: str, other: str) -> str:
    """What two interfaces do not have in common; empty where they are the same."""
    command = [native_tool(), "equal"]
    return subprocess.run(command, input=f"{did}\0{other}", capture_output=True, text=True, check=False).stderr


def test_timers_tick_once_a_minute(module: Generate) -> None:
    canister = Canister.install(module())
    assert canister.call("ticks") == "(0 : nat64)"
    canister.advance(59)
    assert canister.call("ticks") == "(0 : nat64)"
    canister.advance(1)
    assert canister.call("ticks") == "(1 : nat64)"
    canister.advance(10 * 60)
    assert canister.call("ticks") == "(11 : nat64)"


def test_timers_tick_again_after_an_upgrade(module: Generate) -> None:
    canister = Canister.install(module())
    canister.advance(60)
    canister.upgrade()
    assert canister.call("ticks") == "(0 : nat64)"
    canister.advance(120)
    assert canister.call("ticks") == "(2 : nat64)"


def test_without_timers_the_module_imports_no_timer_function(module: Generate) -> None:
    assert TIMER_FUNCTIONS <= Canister.install(module()).imports
    canister = Canister.install(module(timers=False))
    assert not TIMER_FUNCTIONS & canister.imports
    assert not any("timer" in name for name in canister.exports)
    assert canister.call("greet", '("ICP")') == '("Hello, ICP! Powered by wasm64")'
