"""The runtime counts instructions as the replica does. Each rule has a small piece of code."""

import pytest

from runtime.tests.modules import both_word_sizes, calls, failure, install, method, number

PRICES = {
    "an instruction of its own price": ("(drop (i32.div_u (i32.const 6) (i32.const 3)))", 3 + 10),
    "branch": ("(block (br_if 0 (i32.const 1)) (drop (i64.const 1)))", 1 + 2),
    "one side of an if": ("(if (i32.const 0) (then (call $nothing)) (else (drop (i64.const 1))))", 1 + 2 + 2),
    "loop": ("(loop (call $count) (br_if 0 (i64.lt_u (global.get $global) (i64.const 10))))", 10 * (5 + 7 + 6)),
    "call, and the function itself": ("(call $nothing)", 5 + 1),
    "fill by size": ("(memory.fill (I.const 0) (i32.const 0) (I.const 50))", 3 + 100 + 50),
    "data by size": ("(memory.init $data (I.const 0) (i32.const 0) (i32.const 4))", 3 + 100 + 4),
    "System API": ("(drop (call $time))", 5 + 500 + 1),
    "System API, bytes": ("(call $print (I.const 0) (I.const 6))", 2 + 5 + 100 + 6),
    "sent bytes": ("(call $append (I.const 0) (I.const 8))", 2 + 5 + 500 + 50 * 8),
    "stable memory": ("(call $stable_write (i64.const 0) (i64.const 0) (i64.const 30))", 3 + 5 + 20 + 30),
}
WRITE_TO_TWO_PAGES = """(i32.store8 (I.const 4096) (i32.const {0})) (i32.store8 (I.const 16384) (i32.const {0}))
    (call $msg_reject (I.const 0) (I.const 0))"""


def taken(code: str, bits: int) -> int:
    """Return the instructions of an update that ends in an error. After a trap, changed pages cost nothing."""
    init = '(func (export "canister_init") (drop (call $stable_grow (i64.const 1))))'
    canister = install(init + method(code), bits)
    failure(canister)
    return canister.instructions


@both_word_sizes
@pytest.mark.parametrize(("code", "price"), PRICES.values(), ids=PRICES)
def test_code_costs_what_the_replica_charges(code, price, bits):
    assert taken(f"{code} unreachable", bits) - taken("unreachable", bits) == price


@pytest.mark.parametrize(("bits", "price"), [(64, 2), (32, 1)])
def test_block_is_charged_on_entry_by_word_size(bits, price):
    code = "(drop (i32.load (I.const -1))) (call $nothing)"
    assert taken(code, bits) == 1 + 1 + price + 1 + 5


@pytest.mark.parametrize(("bits", "price"), [(64, 4_000), (32, 1_000)])
def test_changed_heap_page_is_charged_within_the_limit(bits, price):
    unchanged, changed = (taken(WRITE_TO_TWO_PAGES.format(value), bits) for value in (0, 1))
    assert changed - unchanged == 2 * price
    for limit, code in ((changed, "IC0406"), (changed - 1, "IC0522")):
        canister = install(method(WRITE_TO_TWO_PAGES.format(1)), bits, instruction_limits={"update": limit})
        assert failure(canister).code == code


def test_performance_counter_shows_earlier_messages_of_the_call():
    counter = "(call $counter (i32.const {}))".format
    keep = f"(global.set $global {counter(0)})"
    difference = f"(i64.sub (i64.sub {counter(1)} {counter(0)}) (global.get $global))"
    canister = install(calls(f"(call $answer {difference})", end=keep))
    assert number(canister, "go") == 4_000 - 200  # One page, and a call between the two counts.
