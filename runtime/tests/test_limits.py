"""The limits of memory, instructions and System API calls hold, and the low-memory hook runs in time."""

import pytest

from runtime import Canister, NotProvided, Trapped, system_api
from runtime.tests.modules import (
    PAGE,
    PRELUDE,
    both_word_sizes,
    everything,
    failure,
    grow,
    install,
    method,
    number,
    wasm,
)

GIB = 1 << 30
HOOK = (
    '(func (export "canister_on_low_wasm_memory") (global.set $global (i64.add (global.get $global) (i64.const 1))) {})'
)


@both_word_sizes
@pytest.mark.parametrize("rest", ["", "unreachable", "(loop (br 0))"])
def test_growth_past_the_memory_limit_fails_and_is_undone(rest, bits):
    steps = "(drop (memory.grow (I.const 5)))" * 5  # The fourth is the first past the limit.
    canister = install(method(steps + rest), bits, wasm_memory_limit="1 MiB")
    error = failure(canister)
    assert error.code == "IC0539" and canister.heap_bytes == PAGE
    assert "Wasm memory limit of 1048576 bytes. The peak Wasm memory usage was 1376256 bytes." in error.reason
    assert number(install(grow(20, "query"), bits, wasm_memory_limit="1 MiB"), "go") == 1  # It does not bind queries.
    assert failure(install(grow(3 * GIB // PAGE), bits)).code == "IC0539"  # It is 3 GiB unless given.


def test_module_that_starts_above_the_memory_limit_is_refused():
    with pytest.raises(Trapped, match="IC0539"):
        install(wasm_memory_limit=65535)


@pytest.mark.parametrize(("bits", "gib"), [(64, 6), (32, 4)])
def test_growth_past_the_highest_heap_returns_minus_one(bits, gib):
    missing = gib * GIB // PAGE - 1
    assert number(install(grow(missing + 1), bits, wasm_memory_limit=0), "go") == 2**bits - 1
    canister = install(grow(missing), bits, wasm_memory_limit=0)
    assert (number(canister, "go"), canister.heap_bytes) == (1, gib * GIB)


def test_large_heap_survives_rollbacks():
    fill = "(drop (memory.grow (I.const 81919))) (i64.store (I.const 5368709112) (i64.const 9))"
    canister = install(
        method(f"{fill} (call $answer (i64.const 1))")
        + '(func (export "canister_query top") (call $answer (i64.load (I.const 5368709112))))',
        wasm_memory_limit="6 GiB",
    )
    canister.call("go", b"")
    failure(canister, "change_and_trap")
    assert (number(canister, "top"), canister.heap_bytes) == (9, 5 * GIB)


@pytest.mark.parametrize("kind", ["update", "query"])
def test_endless_message_is_stopped(kind):
    for body in ("(loop (br 0))", "(loop (drop (call $time)) (br 0))"):
        canister = install(method(body, kind), instruction_limits={kind: 10**6})
        reason = "exceeded the limit of 1000000 instructions for single message execution."
        assert failure(canister).reason.endswith(reason) and canister.instructions == 10**6


@pytest.mark.parametrize("hook", ["init", "pre_upgrade", "post_upgrade"])
def test_endless_installation_or_upgrade_is_stopped(hook):
    body = f'(func (export "canister_{hook}") (loop (br 0)))'
    with pytest.raises(Trapped, match="IC0522"):
        install(body, instruction_limits={"install": 10**6}).upgrade(arg=b"")


def test_message_with_too_many_system_api_calls_is_stopped(monkeypatch):
    monkeypatch.setattr(system_api, "MAX_SYSTEM_CALLS", 500)
    with pytest.raises(NotProvided, match="System API more than 500 times"):
        install(method("(loop (drop (call $time)) (br 0))"), instruction_limits={"update": 10**6}).call("go", b"")


# The low-memory hook: one page at first, four allowed, and the hook counts its runs in the global.


def low_memory(body: str = "", hook: str = "", bits: int = 64) -> Canister:
    """Install a canister with a low-memory hook, whose method `go` takes a page unless told otherwise."""
    body = HOOK.format(hook) + (body or grow(1))
    return install(body, bits, wasm_memory_limit=4 * PAGE, wasm_memory_threshold="128 KiB")


@both_word_sizes
def test_low_memory_hook_runs_once_until_memory_is_free(bits):
    canister = low_memory(bits=bits)
    for _ in range(2):
        runs = [number(canister, "get_global")]
        for _ in range(3):
            canister.call("go", b"")
            runs.append(number(canister, "get_global"))
        assert runs == [0, 0, 1, 1]
        canister.upgrade(arg=b"")
    canister.upgrade(wasm(PRELUDE.replace("(memory W 1)", "(memory W 3)") + HOOK.format("")), b"")
    assert number(canister, "get_global") == 1


def test_low_memory_hook_runs_at_once_without_a_limit():
    assert number(install(HOOK.format(""), wasm_memory_limit=0), "get_global") == 1  # As in the replica.


def test_growth_that_is_undone_runs_no_low_memory_hook():
    canister = low_memory(grow(2, "query"))
    canister.call("change", b"")
    before = everything(canister)
    failure(canister, "change_and_trap")
    canister.call("go", b"")
    canister.update("go", b"")
    assert everything(canister) == before


def test_low_memory_hook_that_traps_is_undone_and_logged(capsys):
    canister = low_memory(grow(2), "unreachable")
    assert number(canister, "go") == 1
    assert (number(canister, "get_global"), canister.heap_bytes) == (0, 3 * PAGE)
    assert capsys.readouterr().err.count("[TRAP]: unreachable") == 1
