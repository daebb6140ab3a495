"""Messages cannot exceed the limits of memory and instructions, and the low-memory hook runs before the limit."""

import pytest

from runtime import Trapped
from runtime.tests.modules import PAGE, both_word_sizes, failure, install, method, number

GIB = 1 << 30


def grow(pages: int, kind: str = "update") -> str:
    """Return a method named `go` that grows the heap and answers with its old size in pages."""
    return method(f"(I.store (I.const 0) (memory.grow (I.const {pages}))) (call $answer (i64.load (I.const 0)))", kind)


@both_word_sizes
def test_growth_past_the_memory_limit_fails_and_is_undone(bits):
    steps = "(drop (memory.grow (I.const 5)))" * 5  # The fourth exceeds the limit.
    canister = install(method(steps), bits, wasm_memory_limit="1 MiB")
    error = failure(canister)
    assert error.code == "IC0539" and canister.heap_bytes == PAGE
    assert "Wasm memory limit of 1048576 bytes. The peak Wasm memory usage was 1376256 bytes." in error.reason
    assert number(install(grow(20, "query"), bits, wasm_memory_limit="1 MiB"), "go") == 1  # Not for queries.
    assert failure(install(grow(3 * GIB // PAGE), bits)).code == "IC0539"  # The default is 3 GiB.
    with pytest.raises(Trapped, match="IC0539"):
        install(bits=bits, wasm_memory_limit=65535)


@pytest.mark.parametrize(("bits", "gib"), [(64, 6), (32, 4)])
def test_growth_past_the_highest_heap_returns_minus_one(bits, gib):
    missing = gib * GIB // PAGE - 1
    assert number(install(grow(missing + 1), bits, wasm_memory_limit=0), "go") == 2**bits - 1
    canister = install(grow(missing), bits, wasm_memory_limit=0)
    assert (number(canister, "go"), canister.heap_bytes) == (1, gib * GIB)


def test_large_heap_survives_rollbacks():
    fill = "(drop (memory.grow (I.const 81919))) (i64.store (I.const 5368709112) (i64.const 9))"
    top = '(func (export "canister_query top") (call $answer (i64.load (I.const 5368709112))))'
    canister = install(method(f"{fill} (call $answer (i64.const 1))") + top, wasm_memory_limit="6 GiB")
    canister.call("go", b"")
    failure(canister, "change_and_trap")
    assert (number(canister, "top"), canister.heap_bytes) == (9, 5 * GIB)


@pytest.mark.parametrize("kind", ["update", "query"])
@pytest.mark.parametrize("body", ["(loop (br 0))", "(loop (drop (call $time)) (br 0))"])
def test_endless_message_is_stopped(kind, body):
    canister = install(method(body, kind), instruction_limits={kind: 10**6})
    reason = "exceeded the limit of 1000000 instructions for single message execution."
    assert failure(canister).reason.endswith(reason) and canister.instructions == 10**6


@both_word_sizes
def test_low_memory_hook_runs_once_until_memory_is_free(bits):
    hook = '(func (export "canister_on_low_wasm_memory") (call $count))'
    canister = install(hook + grow(1), bits, wasm_memory_limit=4 * PAGE, wasm_memory_threshold="128 KiB")
    for _ in range(2):
        runs = [number(canister, "get_global")]
        for _ in range(3):
            canister.call("go", b"")
            runs.append(number(canister, "get_global"))
        assert runs == [0, 0, 1, 1]
        canister.upgrade(arg=b"")
