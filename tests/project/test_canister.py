"""The canister of a new project, compiled: what it answers, and what an upgrade does to it."""

import pytest

from runtime import Canister
from tests.conftest import Project
from tests.support import builds
from tests.support.projects import DID, WASM

ANSWER = '("Hello, ICP! Powered by wasm64")'
TIMER = "global_timer_set"


@pytest.fixture
def canister(module: Project) -> Canister:
    """A canister with the module of the default answers."""
    return Canister.install(module())


def test_greet_says_that_it_runs_on_wasm64(canister: Canister) -> None:
    assert canister.word_bits == 64
    assert canister.call("greet", '("ICP")') == ANSWER


@pytest.mark.parametrize("name", ["", "Zoë 🦀", "a" * 100_000], ids=["empty", "Unicode", "long"])
def test_greet_takes_any_name(canister: Canister, name: str) -> None:
    assert f'"Hello, {name}! Powered by wasm64"' in str(canister.call("greet", f'("{name}")'))


def test_timers_tick_each_minute_and_after_an_upgrade(canister: Canister) -> None:
    assert canister.call("ticks") == "(0 : nat64)"
    canister.advance(59)
    assert canister.call("ticks") == "(0 : nat64)"
    canister.advance(1)
    assert canister.call("ticks") == "(1 : nat64)"
    canister.advance(10 * 60)
    assert canister.call("ticks") == "(11 : nat64)"
    canister.upgrade()
    assert canister.call("ticks") == "(0 : nat64)"
    canister.advance(120)
    assert canister.call("ticks") == "(2 : nat64)"


def test_the_module_does_not_contain_its_interface(canister: Canister, module: Project, rendered: Project) -> None:
    comment = "Minutes since the canister"
    assert comment in (rendered() / DID).read_text()
    assert comment.encode() not in module().read_bytes()
    assert "get_candid_pointer" not in canister.exports


def test_a_canister_without_timers_imports_none(canister: Canister, project: Project, build) -> None:
    assert TIMER in canister.imports
    folder = project(timers=False)
    builds.optimize_less(folder, "hello_backend")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    without = Canister.install(folder / WASM)
    assert TIMER not in without.imports
    assert not [name for name in without.exports if "timer" in name]
    assert without.call("greet", '("ICP")') == ANSWER
