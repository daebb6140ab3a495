"""The runtime counts instructions as the replica does: one small piece of code for each kind of price."""

import pytest

from runtime import Trapped
from runtime.tests.modules import both_word_sizes, failure, install, method, number

NEW_CALL = "(call $call_new (I.const 0) (I.const 3) (I.const 0) (I.const 4) {})".format("(I.const 0) " * 4)
COUNT_TO_10 = """(loop
    (global.set $global (i64.add (global.get $global) (i64.const 1)))
    (br_if 0 (i64.lt_u (global.get $global) (i64.const 10))))"""
PRICES = {
    "plain": ("(drop (i64.const 1))", 2),
    "block": ("(block (block))", 0),
    "branch": ("(block (br 0) (drop (i64.const 1)))", 2),
    "branch taken": ("(block (br_if 0 (i32.const 1)) (drop (i64.const 1)))", 1 + 2),
    "branch not taken": ("(block (br_if 0 (i32.const 0)) (drop (i64.const 1)))", 1 + 2 + 2),
    "one side of an if": ("(if (i32.const 0) (then (call $nothing)) (else (drop (i64.const 1))))", 1 + 2 + 2),
    "loop": (COUNT_TO_10, 10 * (2 + 1 + 1 + 2 + 2 + 1 + 1 + 2)),
    "integer division": ("(drop (i32.div_u (i32.const 6) (i32.const 3)))", 3 + 10),
    "comparison of floats": ("(drop (f64.lt (f64.const 1) (f64.const 2)))", 3 + 3),
    "float to integer": ("(drop (i32.trunc_sat_f32_s (f32.const 1)))", 2 + 20),
    "vector": ("(drop (i32x4.mul (v128.const i64x2 1 1) (v128.const i64x2 2 2)))", 3 + 2),
    "call, and the function itself": ("(call $nothing)", 5 + 1),
    "indirect call": ("(call_indirect (type $nothing) (i32.const 0))", 1 + 10 + 1),
    "growth of the heap": ("(drop (memory.grow (I.const 0)))", 2 + 300),
    "fill by size": ("(memory.fill (I.const 0) (i32.const 0) (I.const 50))", 3 + 100 + 50),
    "copy by size": ("(memory.copy (I.const 0) (I.const 90) (I.const 70))", 3 + 100 + 70),
    "data by size": ("(memory.init $data (I.const 0) (i32.const 0) (i32.const 4))", 3 + 100 + 4),
    "System API": ("(drop (call $time))", 5 + 500 + 1),
    "System API, bytes": ("(call $arg_copy (I.const 0) (I.const 0) (I.const 0))", 3 + 5 + 500),
    "is_controller": ("(drop (call $is_controller (I.const 0) (I.const 2)))", 2 + 5 + 1000 + 2 + 1),
    "performance_counter": ("(drop (call $counter (i32.const 0)))", 1 + 5 + 200 + 1),
    "debug_print": ("(call $print (I.const 0) (I.const 6))", 2 + 5 + 100 + 6),
    "reply": ("(call $append (I.const 0) (I.const 8))", 2 + 5 + 500 + 50 * 8),
    "reject": ("(call $msg_reject (I.const 0) (I.const 8))", 2 + 5 + 500 + 50 * 8),
    "call_data_append": (f"{NEW_CALL} (call $call_append (I.const 0) (I.const 6))", 1520 + 2 + 5 + 500 + 50 * 6),
    "call_perform": (f"{NEW_CALL} (drop (call $call_perform))", 1520 + 5 + 5000 + 1),
    "stable read": ("(call $stable_read (i64.const 0) (i64.const 0) (i64.const 30))", 3 + 5 + 20 + 30),
    "stable write": ("(call $stable_write (i64.const 0) (i64.const 0) (i64.const 30))", 3 + 5 + 20 + 30),
}
"""Code and what it takes on both word sizes."""
ACCESSES = {
    "load": "(drop (i64.load (I.const 0)))",
    "narrow load": "(drop (i32.load8_u (I.const 0)))",
    "vector load": "(drop (v128.load (I.const 0)))",
    "store": "(i64.store (I.const 0) (i64.const 0))",
}
WRITE_300_PAGES = """(local $address I)
    (drop (memory.grow (I.const 19)))
    (loop
      (i32.store8 (local.get $address) (i32.const {}))
      (local.set $address (I.add (local.get $address) (I.const 4096)))
      (br_if 0 (I.lt_u (local.get $address) (I.const 1228800))))
    (call $msg_reject (I.const 0) (I.const 0))"""


def taken(code: str, bits: int, **settings) -> int:
    """Return the instructions of an update that ends in an error. If it traps, no page of the heap is charged for."""
    init = '(func (export "canister_init") (drop (call $stable_grow (i64.const 1))))'
    canister = install(init + method(code), bits, **settings)
    failure(canister)
    return canister.instructions


@both_word_sizes
@pytest.mark.parametrize(("code", "price"), PRICES.values(), ids=PRICES)
def test_code_takes_its_price(code, price, bits):
    assert taken(f"{code} unreachable", bits) - taken("unreachable", bits) == price


@both_word_sizes
@pytest.mark.parametrize("code", ACCESSES.values(), ids=ACCESSES)
def test_memory_access_costs_twice_on_wasm64(code, bits):
    assert taken(f"{code} unreachable", bits) - taken("unreachable", bits) == 2 + {64: 2, 32: 1}[bits]


def test_block_is_charged_as_a_whole_on_entry():
    code = "(drop (i32.load (I.const -1))) (call $nothing)"
    assert taken(code, 32) == 1 + 1 + 1 + 1 + 5


@pytest.mark.parametrize(("bits", "price"), [(64, 4_000), (32, 1_000)])
def test_changed_heap_page_is_charged_within_the_limit(bits, price):
    unchanged, changed = (taken(WRITE_300_PAGES.format(value), bits) for value in (0, 1))
    assert changed - unchanged == 300 * price
    for limit, codes in ((changed, ["IC0406", "IC0406"]), (changed - 1, ["IC0522", "IC0522"])):
        canister = install(method(WRITE_300_PAGES.format(1)), bits, instruction_limits={"update": limit})
        assert [failure(canister).code for _ in range(2)] == codes
    canister = install(method(WRITE_300_PAGES.format(1)), bits)
    assert [(failure(canister).code, canister.instructions)[1] for _ in range(2)] == [changed, unchanged]


@pytest.mark.parametrize("counter", [0, 1])
def test_performance_counter_shows_no_pages(counter):
    canister = install(
        method(f"(i32.store (I.const 4096) (i32.const 1)) (call $answer (call $counter (i32.const {counter})))")
    )
    shown = number(canister, "go")
    assert canister.instructions - shown == 2 * 4_000 + 17 + 500 + 8 * 50 + 500


@pytest.mark.parametrize(("bits", "size", "code"), [(64, -1, "IC0522"), (64, 2**63 - 1, "IC0522"), (32, -1, "IC0502")])
def test_bulk_operation_of_any_size_stays_in_the_limit(bits, size, code):
    canister = install(method(f"(memory.fill (I.const 0) (i32.const 0) (I.const {size}))"), bits)
    with pytest.raises(Trapped, match=code):
        canister.update("go", b"")
    assert 0 < canister.instructions <= 40 * 10**9
