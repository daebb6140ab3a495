"""Messages are transactions. Calls, timers and upgrades follow the rules of the replica and have its errors."""

import pytest

from runtime import InvalidModule, Rejected, Trapped
from runtime.tests.modules import PRELUDE, both_word_sizes, calls, everything, failure, install, method, number, wasm

MINUTE = 60 * 10**9
ID = "bkyz2-fmaaa-aaaaa-qaaaq-cai"
PREFIX = f"Error from Canister {ID}: "
TRAP = f"{PREFIX}Canister called `ic0.trap` with message: 'on purpose'"
TICK = "(call $count) (i64.store (I.const 512) (call $time))"
SPOIL = "(call $set (i64.const 99)) (drop (call $stable_grow (i64.const 9)))"


def timer(body: str, nanoseconds: int = MINUTE) -> str:
    """Return code that sets the timer in init and again after `body` in each of its runs."""
    arm = f"(drop (call $timer_set (i64.add (call $time) (i64.const {nanoseconds}))))"
    return f'(func (export "canister_init") {arm}) (func (export "canister_global_timer") {body} {arm})'


@both_word_sizes
def test_trap_undoes_its_own_message_alone(bits):
    canister = install(f'(func (export "canister_global_timer") {TICK})', bits)
    for timers in (0, 1):
        before = everything(canister)
        assert failure(canister, "change_and_trap").reason == TRAP
        canister.advance(3600)  # A timer of the message that trapped would run now.
        assert everything(canister) == before
        canister.call("change", b"")
        canister.advance(60)
        assert number(canister, "get_global") == 8, timers


def test_wiped_data_stays_wiped_after_a_trap():
    canister = install(method("(memory.fill (I.const 0) (i32.const 0) (I.const 65536)) (call $msg_reply)"))
    canister.call("go", b"")
    for _ in range(2):
        assert "\0" * 10 in failure(canister, "change_and_trap").reason


def test_query_changes_nothing_in_either_mode():
    canister = install(method(f"{SPOIL} (drop (memory.grow (I.const 1))) (call $answer (i64.const 1))", "query"))
    before = everything(canister)
    assert canister.query("go", b"") == canister.update("go", b"") == (1).to_bytes(8, "little")
    assert everything(canister) == before
    with pytest.raises(Rejected, match=f"IC0536: {PREFIX}Canister has no query method 'change'"):
        canister.query("change", b"")


FAILURES = {
    "second reply": ("(call $msg_reply) (call $msg_reply)", "IC0504 ic0.msg_reply: the call is already replied"),
    "no reply": ("", f"IC0506 Canister {ID} did not reply to the call"),
    "reject": ("(call $msg_reject (I.const 1040) (I.const 10))", "IC0406 on purpose"),
    "reply past the heap": ("(call $append (I.const 65530) (I.const 7))", "IC0504 exceeds the slice size=65536"),
    "copy past the argument": ("(call $arg_copy (I.const 0) (I.const -1) (I.const 2))", "IC0504 payload: src="),
    "no stable memory": ("(call $stable_read (i64.const 0) (i64.const -1) (i64.const 2))", "IC0502 stable memory out"),
    "long reply": ("(call $append (I.const 0) (I.const 2097153))", "IC0504 cannot be larger than 2097152"),
    "2 GiB": ("(call $print (I.const 0) (I.const 0x80000000))", "IC0522 limit of 40000000000 instructions"),
    "wrong mode": ("(drop (call $reject_code))", 'IC0504 "ic0_msg_reject_code" cannot be executed in update mode'),
    "no call": ("(drop (call $call_perform))", "IC0504 no call is under construction"),
    "recursion": ("(call $deep)", "IC0502 stack overflow"),
}


@both_word_sizes
@pytest.mark.parametrize(("body", "expected"), FAILURES.values(), ids=FAILURES)
def test_failed_message_gets_the_replicas_error(body, expected, bits):
    error = failure(install(method(body), bits))
    code, reason = expected.split(" ", 1)
    assert (error.code, reason in error.reason) == (code, True), error
    assert error.reason.startswith(PREFIX) == (code not in ("IC0406", "IC0506"))


def test_canister_knows_its_controller():
    canister = install(caller="aaaaa-aa")
    answers = [canister.query("is_controller", principal) for principal in (b"", b"\4")]
    assert answers == [b"\1" + bytes(7), bytes(8)]


REJECTED = calls("", "(call $copy_reject)")
CALLS = {
    "reply": (calls("(call $echo)"), b"*" + bytes(7)),
    "trap": (REJECTED.replace("1024) (I.const 3)", "1032) (I.const 6)"), b"\5" + bytes(7) + f"IC0503: {TRAP}".encode()),
    "other canister": (REJECTED.replace("self_size) (I.", "nine) (I."), b"\3" + bytes(7) + b"No route to canister "),
}
NO_CALLBACKS = {
    0: "IC0504: Canister violated contract: function invocation does not match its signature",
    7: "IC0504: Canister violated contract: unexpected null function reference",
    8: "IC0513: Canister requested to invoke a non-existent Wasm function 8 from table 0",
}


@both_word_sizes
@pytest.mark.parametrize(("body", "reply"), CALLS.values(), ids=CALLS)
def test_call_is_answered(body, reply, bits):
    canister = install(body + "(func $nine (result I) (I.const 9))", bits)
    assert canister.call("go", b"").startswith(reply)
    assert number(canister, "get") == 42


@both_word_sizes
@pytest.mark.parametrize(("index", "expected"), NO_CALLBACKS.items())
def test_wrong_callback_is_an_error(index, expected, bits):
    body = calls("unreachable").replace("(I.const 3) (I.const 0)", f"(I.const {index}) (I.const 0)")
    assert str(failure(install(body, bits))) == expected.replace(": ", f": {PREFIX}", 1)


def test_trap_in_a_callback_is_undone_and_cleaned_up():
    canister = install(calls("(call $set (i64.const 13)) unreachable"))
    assert failure(canister).reason == f"{PREFIX}Canister trapped: unreachable"
    assert everything(canister)[:2] == (42, 5)


def test_timer_runs_at_each_of_its_deadlines():
    canister = install(timer(TICK))
    start = canister.time
    canister.advance(59.9)
    assert number(canister, "get_global") == 0
    canister.advance(179.1)
    assert (number(canister, "get_global"), number(canister, "get")) == (3, start + 3 * MINUTE)
    canister.upgrade(wasm(PRELUDE + f'(func (export "canister_global_timer") {TICK})'), b"")
    canister.advance(600)
    assert (number(canister, "get_global"), canister.time) == (0, start + 839 * 10**9)
    canister = install(timer(TICK, 0))
    canister.advance(10)
    assert number(canister, "get_global") == 11  # A timer that is always due runs once a second.


def test_timer_that_traps_is_logged_and_runs_no_more(capsys):
    canister = install(timer(f"{TICK} unreachable"))
    canister.advance(600)
    assert number(canister, "get_global") == 0
    assert capsys.readouterr().err == f"[Canister {ID}] [TRAP]: unreachable\n"


@both_word_sizes
def test_upgrade_keeps_stable_memory_and_drops_the_heap(bits):
    canister = install(bits=bits)
    canister.call("change", b"")
    canister.upgrade(wasm(PRELUDE, 96 - bits), b"")  # To the other word size.
    assert everything(canister) == (0, 0, 7, 65536, 131072)
    assert (canister.word_bits, number(canister, "get_version")) == (96 - bits, 3)


POST_UPGRADE_TRAPS = wasm(PRELUDE + f'(func (export "canister_post_upgrade") {SPOIL} unreachable)', 32)
UPGRADES = {
    "post_upgrade traps": ("", POST_UPGRADE_TRAPS),
    "rubbish": ("", b""),
    "pre_upgrade traps": ("unreachable", None),
}


@pytest.mark.parametrize(("old", "new"), UPGRADES.values(), ids=UPGRADES)
def test_failed_upgrade_leaves_the_old_canister(old, new):
    hook = f'(func (export "canister_pre_upgrade") {SPOIL} {old})'
    canister = install(hook + f'(func (export "canister_global_timer") {SPOIL})')
    canister.call("change", b"")
    before = everything(canister), canister.word_bits
    with pytest.raises((Trapped, InvalidModule)):
        canister.upgrade(new, b"")
    assert (everything(canister), canister.word_bits) == before
    canister.advance(60)
    assert number(canister, "get") == 99
