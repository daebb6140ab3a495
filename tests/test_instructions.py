"""The canister runtime counts instructions as the replica does: one small module for each kind of price."""

import re

import pytest
import wasmtime
from canister import Canister, Rejected, Trapped

pytestmark = pytest.mark.rust

MODULE = """
(import "ic0" "time" (func $time (result i64)))
(import "ic0" "is_controller" (func $is_controller (param I I) (result i32)))
(import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
(import "ic0" "debug_print" (func $print (param I I)))
(import "ic0" "msg_arg_data_copy" (func $copy_arg (param I I I)))
(import "ic0" "msg_reply_data_append" (func $append (param I I)))
(import "ic0" "msg_reply" (func $reply))
(import "ic0" "msg_reject" (func $reject (param I I)))
(import "ic0" "call_new" (func $call_new (param I I I I I I I I)))
(import "ic0" "call_data_append" (func $call_append (param I I)))
(import "ic0" "call_perform" (func $perform (result i32)))
(import "ic0" "stable64_size" (func $stable_size (result i64)))
(import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
(import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
(import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
(type $nothing (func))
(memory W 20)
(table funcref (elem $nothing))
(data $data "data")
(global $global (mut i64) (i64.const 0))
(func $nothing)
(func (export "canister_init") (drop (call $stable_grow (i64.const 1))))
(func (export "canister_update go") CODE)
"""
NEW_CALL = "(call $call_new (I.const 0) (I.const 3) (I.const 0) (I.const 4) {})".format("(I.const 0) " * 4)
PRICES = {
    "plain": ("(drop (i64.const 1))", 2),
    "block": ("(block (block))", 0),
    "branch": ("(block (br 0))", 2),
    "if": ("(if (i32.const 1) (then))", 3),
    "global": ("(global.set $global (global.get $global))", 4),
    "integer division": ("(drop (i32.div_u (i32.const 6) (i32.const 3)))", 3 + 10),
    "comparison of floats": ("(drop (f64.lt (f64.const 1) (f64.const 2)))", 3 + 3),
    "minimum of floats": ("(drop (f64.min (f64.const 1) (f64.const 2)))", 3 + 18),
    "float to integer": ("(drop (i32.trunc_sat_f32_s (f32.const 1)))", 2 + 20),
    "vector": ("(drop (i32x4.mul (v128.const i64x2 1 1) (v128.const i64x2 2 2)))", 3 + 2),
    "call, and the function itself": ("(call $nothing)", 5 + 1),
    "indirect call": ("(call_indirect (type $nothing) (i32.const 0))", 1 + 10 + 1),
    "growth of the heap": ("(drop (memory.grow (I.const 0)))", 2 + 300),
    "fill by size": ("(memory.fill (I.const 0) (i32.const 0) (I.const 50))", 3 + 100 + 50),
    "copy by size": ("(memory.copy (I.const 0) (I.const 90) (I.const 70))", 3 + 100 + 70),
    "data by size": ("(memory.init $data (I.const 0) (i32.const 0) (i32.const 4))", 3 + 100 + 4),
    "System API": ("(drop (call $time))", 5 + 500 + 1),
    "System API, bytes": ("(call $copy_arg (I.const 0) (I.const 0) (I.const 9))", 3 + 5 + 500 + 9),
    "is_controller": ("(drop (call $is_controller (I.const 0) (I.const 2)))", 2 + 5 + 1000 + 2 + 1),
    "performance_counter": ("(drop (call $counter (i32.const 0)))", 1 + 5 + 200 + 1),
    "debug_print": ("(call $print (I.const 0) (I.const 6))", 2 + 5 + 100 + 6),
    "reply": ("(call $append (I.const 0) (I.const 8))", 2 + 5 + 500 + 50 * 8),
    "reject": ("(call $reject (I.const 0) (I.const 8))", 2 + 5 + 500 + 50 * 8),
    "call_new": (NEW_CALL, 8 + 5 + 1500 + 3 + 4),
    "call_data_append": (f"{NEW_CALL} (call $call_append (I.const 0) (I.const 6))", 1520 + 2 + 5 + 500 + 50 * 6),
    "call_perform": (f"{NEW_CALL} (drop (call $perform))", 1520 + 5 + 5000 + 1),
    "stable size": ("(drop (call $stable_size))", 5 + 20 + 1),
    "stable read": ("(call $stable_read (i64.const 0) (i64.const 0) (i64.const 30))", 3 + 5 + 20 + 30),
    "stable write": ("(call $stable_write (i64.const 0) (i64.const 0) (i64.const 30))", 3 + 5 + 20 + 30),
}
"""Code and what it takes on both word sizes, as in the replica's `instruction_to_cost` and `overhead`."""
MEMORY_PRICES = {
    "load": ("(drop (i64.load (I.const 0)))", 2),
    "narrow load": ("(drop (i32.load8_u (I.const 0)))", 2),
    "vector load": ("(drop (v128.load (I.const 0)))", 2),
    "store": ("(i64.store (I.const 0) (i64.const 0))", 2),
    "float store": ("(f32.store (I.const 0) (f32.const 0))", 2),
}
"""Code that accesses memory once, and what the rest of it takes."""
BLOCKS = {
    "a branch leaves the rest of its block out": ("(block (br 0) (drop (i64.const 1)))", 2),
    "a branch that is taken leaves it out too": ("(block (br_if 0 (i32.const 1)) (drop (i64.const 1)))", 1 + 2),
    "a branch that is not taken goes on": ("(block (br_if 0 (i32.const 0)) (drop (i64.const 1)))", 1 + 2 + 2),
    "one side of an if counts": ("(if (i32.const 0) (then (call $nothing)) (else (drop (i64.const 1))))", 1 + 2 + 2),
    "a loop counts each time": (
        """(loop
        (global.set $global (i64.add (global.get $global) (i64.const 1)))
        (br_if 0 (i64.lt_u (global.get $global) (i64.const 10))))""",
        10 * (2 + 1 + 1 + 2 + 2 + 1 + 1 + 2),
    ),
}
both_word_sizes = pytest.mark.parametrize("bits", [64, 32])


def install(code: str, bits: int, **settings) -> Canister:
    text = MODULE.replace("CODE", code)
    text = re.sub(r"\bW\b", "i64" if bits == 64 else "", re.sub(r"\bI\b", f"i{bits}", text))
    return Canister.install(wasmtime.wat2wasm(f"(module {text})"), b"", **settings)


def instructions(code: str, bits: int) -> int:
    """What the code takes in an update that traps after it, so that no page of the heap is charged for."""

    def taken(code: str) -> int:
        canister = install(f"{code} unreachable", bits)
        with pytest.raises(Trapped, match="IC0502"):
            canister.update("go", b"an argument")
        return canister.instructions

    return taken(code) - taken("")


@both_word_sizes
@pytest.mark.parametrize(("code", "price"), PRICES.values(), ids=PRICES)
def test_code_takes_its_price(code: str, price: int, bits: int) -> None:
    assert instructions(code, bits) == price


@both_word_sizes
@pytest.mark.parametrize(("code", "rest"), MEMORY_PRICES.values(), ids=MEMORY_PRICES)
def test_memory_access_costs_twice_as_much_on_wasm64(code: str, rest: int, bits: int) -> None:
    assert instructions(code, bits) == rest + {64: 2, 32: 1}[bits]


@both_word_sizes
@pytest.mark.parametrize(("code", "price"), BLOCKS.values(), ids=BLOCKS)
def test_only_blocks_that_run_are_charged(code: str, price: int, bits: int) -> None:
    assert instructions(code, bits) == price


def test_a_block_is_charged_as_a_whole_when_it_is_entered() -> None:
    assert instructions("(drop (i32.load (I.const -1))) (call $nothing)", 32) == 1 + 1 + 1 + 5


def test_an_empty_method_takes_one_instruction() -> None:
    canister = install("(call $reject (I.const 0) (I.const 0))", 64)
    with pytest.raises(Rejected):
        canister.update("go", b"")
    assert canister.instructions == 1 + 2 + 5 + 500


def writes(pages: int, value: int = 1) -> str:
    """Code that writes the value into each of so many pages of 4 KiB, then rejects the call."""
    return f"""(local $address I)
    (loop
      (i32.store8 (local.get $address) (i32.const {value}))
      (local.set $address (I.add (local.get $address) (I.const 4096)))
      (br_if 0 (I.lt_u (local.get $address) (I.const {pages * 4096}))))
    (call $reject (I.const 0) (I.const 0))"""


def update(code: str, bits: int, **settings) -> Canister:
    canister = install(code, bits, **settings)
    with pytest.raises(Rejected):
        canister.update("go", b"")
    return canister


@pytest.mark.parametrize(("bits", "price"), [(64, 4_000), (32, 1_000)])
def test_a_page_of_the_heap_that_changes_is_charged(bits: int, price: int) -> None:
    unchanged, changed = (update(writes(300, value), bits).instructions for value in (0, 1))
    assert changed - unchanged == 300 * price


def test_a_page_that_stays_the_same_is_free_the_next_time() -> None:
    canister = update(writes(300), 64)
    first = canister.instructions
    with pytest.raises(Rejected):
        canister.update("go", b"")
    assert first - canister.instructions == 300 * 4_000


def test_pages_count_for_the_limit_of_the_message() -> None:
    taken = update(writes(300), 64).instructions
    update(writes(300), 64, instruction_limits={"update": taken})
    with pytest.raises(Trapped, match="IC0522"):
        update(writes(300), 64, instruction_limits={"update": taken - 1})


COUNT = """(i64.store (I.const 8) (call $counter (i32.const {})))
    (call $append (I.const 8) (I.const 8)) (call $reply)"""


@pytest.mark.parametrize("counter", [0, 1])
def test_the_performance_counter_shows_no_pages(counter: int) -> None:
    canister = install(f"(i32.store (I.const 4096) (i32.const 1)) {COUNT.format(counter)}", 64)
    shown = int.from_bytes(canister.update("go", b""), "little")
    assert shown + 2 * 4_000 + (500 + 8 * 50) + 500 == canister.instructions


@pytest.mark.parametrize(("bits", "size"), [(64, -1), (64, 1 << 31), (64, 2**63 - 1), (32, -1), (32, 1 << 31)])
def test_a_bulk_operation_of_any_size_stays_within_the_limit(bits: int, size: int) -> None:
    canister = install(f"(memory.fill (I.const 0) (i32.const 0) (I.const {size}))", bits)
    with pytest.raises(Trapped, match="IC0502" if bits == 32 or size == 1 << 31 else "IC0522"):
        canister.update("go", b"")
    assert 0 < canister.instructions <= 40 * 10**9


def test_the_limit_holds_where_a_bulk_operation_follows_unchecked_code() -> None:
    spend = "(drop (i64.const 1))" * 50
    code = f"(if (i32.const 1) (then {spend} (memory.fill (I.const 0) (i32.const 0) (I.const {2**63 - 1}))))"
    canister = install(code, 64, instruction_limits={"update": 50})
    with pytest.raises(Trapped, match="IC0522"):
        canister.update("go", b"")
    assert canister.instructions == 50
