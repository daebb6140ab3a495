"""The canister of a new project answers, ticks and survives an upgrade."""

from pathlib import Path

import pytest

from runtime import Canister
from tests.conftest import Project
from tests.support.projects import DID


@pytest.fixture
def canister(module: Path) -> Canister:
    """A canister with the module of the default answers."""
    return Canister.install(module)


def test_greet_answers_any_name_from_wasm64(canister: Canister) -> None:
    assert canister.word_bits == 64
    assert canister.call("greet", '("Zoë 🦀")') == '("Hello, Zoë 🦀! Powered by wasm64")'


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


def test_the_module_does_not_contain_its_interface(canister: Canister, module: Path, rendered: Project) -> None:
    comment = "Minutes since the canister"
    assert comment in (rendered() / DID).read_text()
    assert comment.encode() not in module.read_bytes()
    assert "get_candid_pointer" not in canister.exports
