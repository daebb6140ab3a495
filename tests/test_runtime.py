"""The canister runtime keeps the replica's rules, tried on small misbehaving modules."""

import gzip
import itertools
import random
import re

import pytest
import system_api
import wasmtime
from canister import (
    CandidError,
    Canister,
    CanisterError,
    InvalidModule,
    NotProvided,
    Rejected,
    Trapped,
    main,
    parse_size,
)
from conftest import Generate

pytestmark = pytest.mark.rust

GIB = 1 << 30
PAGE = 1 << 16
MINUTE = 60 * 10**9
FEW_INSTRUCTIONS = {"update": 10**6, "query": 10**6, "install": 10**6}

# A module that can change all that a canister has: heap, globals, stable memory, timer, certified data and cycles.
PRELUDE = """
(import "ic0" "msg_reply" (func $msg_reply))
(import "ic0" "msg_reply_data_append" (func $append (param I I)))
(import "ic0" "msg_reject" (func $msg_reject (param I I)))
(import "ic0" "msg_arg_data_size" (func $arg_size (result I)))
(import "ic0" "msg_arg_data_copy" (func $arg_copy (param I I I)))
(import "ic0" "msg_reject_code" (func $reject_code (result i32)))
(import "ic0" "msg_reject_msg_size" (func $reject_size (result I)))
(import "ic0" "msg_reject_msg_copy" (func $reject_copy (param I I I)))
(import "ic0" "call_new" (func $call_new (param I I I I I I I I)))
(import "ic0" "call_on_cleanup" (func $on_cleanup (param I I)))
(import "ic0" "call_perform" (func $call_perform (result i32)))
(import "ic0" "canister_self_size" (func $self_size (result I)))
(import "ic0" "canister_self_copy" (func $self_copy (param I I I)))
(import "ic0" "canister_version" (func $version (result i64)))
(import "ic0" "stable64_size" (func $stable_size (result i64)))
(import "ic0" "stable64_grow" (func $stable_grow (param i64) (result i64)))
(import "ic0" "stable64_write" (func $stable_write (param i64 i64 i64)))
(import "ic0" "stable64_read" (func $stable_read (param i64 i64 i64)))
(import "ic0" "certified_data_set" (func $certify (param I I)))
(import "ic0" "cycles_burn128" (func $burn (param i64 i64 I)))
(import "ic0" "time" (func $time (result i64)))
(import "ic0" "global_timer_set" (func $timer_set (param i64) (result i64)))
(import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
(import "ic0" "trap" (func $trap (param I I)))
(memory W 1)
(table 8 funcref)
(data (I.const 1024) "get")
(data (I.const 1032) "broken")
(data (I.const 1040) "on purpose\\ff")
(global $global (mut i64) (i64.const 0))
(func $answer (param $value i64)
  (i64.store (I.const 0) (local.get $value))
  (call $append (I.const 0) (I.const 8))
  (call $msg_reply))
(func $answer_word (param $value I)
  (I.store (I.const 0) (local.get $value))
  (call $append (I.const 0) (I.const 8))
  (call $msg_reply))
(func $set (param $value i64)
  (global.set $global (local.get $value))
  (i64.store (I.const 512) (local.get $value)))
(func $change_all
  (call $set (i64.const 7))
  (drop (memory.grow (I.const 1)))
  (drop (call $stable_grow (i64.const 2)))
  (call $stable_write (i64.const 65532) (i64.const 512) (i64.const 8))
  (drop (call $timer_set (i64.add (call $time) (i64.const 60000000000))))
  (call $certify (I.const 512) (I.const 8))
  (call $burn (i64.const 0) (i64.const 1000) (I.const 0)))
(func (export "canister_update change") (call $change_all) (call $answer (i64.const 1)))
(func (export "canister_update change_and_trap") (call $change_all) (call $trap (I.const 1040) (I.const 10)))
(func (export "canister_query get") (call $answer (i64.load (I.const 512))))
(func (export "canister_query get_global") (call $answer (global.get $global)))
(func (export "canister_query get_version") (call $answer (call $version)))
(func (export "canister_query get_stable")
  (call $stable_read (i64.const 0) (i64.const 65532) (i64.const 8))
  (call $answer (i64.load (I.const 0))))
"""


def wasm(body: str, bits: int = 64) -> bytes:
    """A module from text in which I stands for the word type and W for the memory's index type."""
    text = re.sub(r"\bW\b", "i64" if bits == 64 else "", re.sub(r"\bI\b", f"i{bits}", body))
    return wasmtime.wat2wasm(f"(module {text})")


def install(body: str = "", bits: int = 64, **settings) -> Canister:
    return Canister.install(wasm(PRELUDE + body, bits), b"", **settings)


def number(canister: Canister, method: str) -> int:
    return int.from_bytes(canister.call(method, b""), "little")


def everything(canister: Canister) -> tuple:
    stable = number(canister, "get_stable") if canister.stable_bytes else None
    values = number(canister, "get"), number(canister, "get_global"), stable
    return *values, canister.heap_bytes, canister.stable_bytes, canister.certified_data, canister.cycles


def method(kind: str, body: str) -> str:
    return f'(func (export "canister_{kind} go") {body})'


def try_call(canister: Canister, name: str) -> None:
    try:
        canister.call(name, b"")
    except CanisterError as error:
        assert error.reason


def failure(canister: Canister, name: str = "go") -> CanisterError:
    with pytest.raises(CanisterError) as caught:
        canister.call(name, b"")
    return caught.value


SET_TIMER = "(drop (call $timer_set (i64.add (call $time) (i64.const {}))))"


def timer(nanoseconds: int, body: str) -> str:
    """A canister that arms its timer in init, and has `body` for `canister_global_timer`."""
    arm = SET_TIMER.format(nanoseconds)
    return f'(func (export "canister_init") {arm}) (func (export "canister_global_timer") {body} {arm})'


TICK = "(global.set $global (i64.add (global.get $global) (i64.const 1))) (i64.store (I.const 512) (call $time))"


both_word_sizes = pytest.mark.parametrize("bits", [64, 32])


# Modules


@both_word_sizes
def test_modules_of_both_word_sizes_run(bits):
    canister = install(bits=bits)
    canister.call("change", b"")
    assert everything(canister)[:3] == (7, 7, 7)
    assert canister.word_bits == bits
    assert {"call_perform", "stable64_grow"} < canister.imports
    assert "canister_query get" in canister.exports


def test_a_gzipped_module_runs():
    assert number(Canister.install(gzip.compress(wasm(PRELUDE)), b""), "get") == 0


FUNC = '(func (export "canister_{}"))'
REFUSED = {
    "import of an unknown function": (
        '(import "env" "print" (func))',
        "function 'print' from 'env' that is not exported",
    ),
    "import from the wrong module": ('(import "env" "time" (func (result i64)))', 'imported from one of ["ic0"]'),
    "import with wrong parameters": ('(import "ic0" "msg_reply" (func (param i32)))', "got [I32]"),
    "import with a wrong result": ('(import "ic0" "time" (func (result i32)))', "Expected return type [I64]"),
    "32-bit pointers beside 64-bit memory": (
        '(import "ic0" "debug_print" (func (param i32 i32))) (memory i64 1)',
        "Expected input params [I64, I64] for 'debug_print', got [I32, I32].",
    ),
    "32-bit stable memory beside 64-bit memory": (
        '(import "ic0" "stable_size" (func (result i32))) (memory i64 1)',
        "not exported by the runtime",
    ),
    "import of a global": ('(import "ic0" "g" (global i32))', "Importing a global is not allowed"),
    "import of a memory": ('(import "env" "memory" (memory 1))', "Importing a memory is not allowed"),
    "query with a parameter": ('(func (export "canister_query q") (param i32))', "invalid function signature"),
    "init with a result": ('(func (export "canister_init") (result i32) i32.const 0)', "invalid function signature"),
    "unknown entry point": (FUNC.format("destroy"), "Exporting reserved function 'canister_destroy'"),
    "query and update of one name": (FUNC.format("query a") + FUNC.format("update a"), "Duplicate function 'a'"),
    "reserved export": ('(memory (export "stable_memory") 1)', "Exporting reserved symbol stable_memory"),
    "too many methods": ("".join(FUNC.format(f"query {i}") for i in range(1001)), "is 1001 which exceeds 1000"),
    "too many globals": ("(global i32 (i32.const 0))" * 1001, "1001 globals which exceeds"),
    "global of a reference type": ("(global externref (ref.null extern))", "Unsupported global type"),
    "64-bit memory above the highest": ("(memory i64 1 98305)", "98305 pages which exceeds the maximum allowed 98304"),
    "custom section without a scope": ('(@custom "icp:protected a" "")', "no public/private scope"),
    "custom section twice": ('(@custom "icp:public a" "") (@custom "icp:private a" "")', "name a already exists"),
    "two memories": ("(memory 1) (memory 1)", "multiple memories"),
    "threads": ("(memory 1 1 shared)", "threads must be enabled"),
    "relaxed SIMD": ("(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))", "relaxed SIMD"),
    "exceptions": ("(tag)", "exceptions proposal not enabled"),
    "function references": ("(type $t (func)) (func (param (ref $t)))", "function references required"),
    "garbage collection": ("(type (struct))", "without the gc feature"),
    "extended constants": ("(global i32 (i32.add (i32.const 0) (i32.const 0)))", "constant expression required"),
}
TABLE_INSTRUCTIONS = {
    "set": "(table.set (i32.const 0) (ref.null func))",
    "grow": "(drop (table.grow (ref.null func) (i32.const 1)))",
    "fill": "(table.fill (i32.const 0) (ref.null func) (i32.const 1))",
    "copy": "(table.copy (i32.const 0) (i32.const 0) (i32.const 1))",
    "init": "(table.init 0 (i32.const 0) (i32.const 0) (i32.const 0))",
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_the_replica_refuses_is_refused(body, reason):
    with pytest.raises(InvalidModule, match=re.escape(reason)) as caught:
        Canister.install(wasmtime.wat2wasm(f"(module {body})"), b"")
    assert caught.value.code == "IC0505"


@pytest.mark.parametrize("name", TABLE_INSTRUCTIONS)
def test_a_module_that_changes_its_table_is_refused(name):
    body = f"(table 1 funcref) (elem func) (func {TABLE_INSTRUCTIONS[name]})"
    with pytest.raises(InvalidModule, match=f"at index 0 with unsupported instruction table.{name}"):
        Canister.install(wasmtime.wat2wasm(f"(module {body})"), b"")


@pytest.mark.parametrize(
    "data",
    [
        wasm(PRELUDE)[:1000],
        random.Random(0).randbytes(1000),
        b"",
        gzip.compress(wasm(PRELUDE))[:-9],
    ],
    ids=["half a module", "random bytes", "nothing", "half a gzip"],
)
def test_what_is_no_module_is_refused(data):
    with pytest.raises(InvalidModule, match="Canister's Wasm module is not valid"):
        Canister.install(data, b"")


def forged(size: int) -> bytes:
    """A MiB of zeros in gzip, whose last bytes say that it was `size` bytes."""
    return gzip.compress(bytes(1 << 20))[:-4] + size.to_bytes(4, "little")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(bytes(101 << 20)), "size of 105906176 exceeds the maximum allowed size of 104857600"),
        (forged(1000), "specified uncompressed size 1000 does not match extracted size 1001"),
        (forged(10 << 20), "CRC check failed|does not match|Incorrect length"),
        (gzip.compress(wasm(PRELUDE)) + forged(1000), "does not match"),
    ],
    ids=["101 MiB", "more than it says", "less than it says", "two in one"],
)
def test_a_gzip_bomb_is_refused(data, reason):
    with pytest.raises(InvalidModule, match=reason):
        Canister.install(data, b"")


def test_a_module_cut_anywhere_is_refused(module: Generate):
    whole = module().read_bytes()
    for end in random.Random(0).sample(range(8, len(whole)), 40):
        with pytest.raises(InvalidModule):
            Canister.install(whole[:end], b"")


def test_a_damaged_module_fails_with_an_error_or_runs():
    source = random.Random(0)
    whole = wasm(PRELUDE + method("update", "(call $change_all) (call $answer (i64.const 1))") + timer(MINUTE, TICK))
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(source.choice([1, 2, 8])):
            damaged[source.randrange(len(damaged))] ^= 1 << source.randrange(8)
        try:
            canister = Canister.install(bytes(damaged), b"", instruction_limits=FEW_INSTRUCTIONS)
            for export in sorted(canister.exports):
                if export.startswith(("canister_update ", "canister_query ")):
                    try_call(canister, export.split(" ", 1)[1])
            canister.advance(60)
            canister.upgrade(arg=b"")
            outcomes.add("runs")
        except CanisterError as error:
            outcomes.add(type(error))
    assert {"runs", InvalidModule} <= outcomes


def test_data_outside_the_memory_is_refused():
    with pytest.raises(InvalidModule, match="Failed to instantiate module"):
        Canister.install(wasmtime.wat2wasm('(module (memory 1) (data (i32.const 65536) "x"))'), b"")


# Transactions


@both_word_sizes
def test_a_trap_undoes_everything(bits):
    canister = install(f'(func (export "canister_global_timer") {TICK})', bits)
    before = everything(canister)
    error = failure(canister, "change_and_trap")
    assert str(error) == "IC0503: Canister called `ic0.trap` with message: 'on purpose'"
    canister.advance(3600)
    assert everything(canister) == before


@both_word_sizes
def test_a_trap_leaves_earlier_changes(bits):
    canister = install(bits=bits)
    canister.call("change", b"")
    before = everything(canister)
    failure(canister, "change_and_trap")
    assert everything(canister) == before


def test_a_query_changes_nothing():
    change = "(call $set (i64.const 7)) (drop (memory.grow (I.const 1))) (drop (call $stable_grow (i64.const 1)))"
    canister = install(method("query", change + "(call $answer (i64.const 1))"))
    before = everything(canister)
    assert number(canister, "go") == 1
    assert everything(canister) == before
    assert canister.update("go", b"") == (1).to_bytes(8, "little")  # in replicated mode
    assert everything(canister) == before


def test_an_update_method_is_no_query():
    with pytest.raises(Rejected, match="IC0536: Canister has no query method 'change'"):
        install().query("change", b"")


def test_data_that_was_wiped_stays_wiped_after_a_rollback():
    canister = install(method("update", "(memory.fill (I.const 0) (i32.const 0) (I.const 65536)) (call $msg_reply)"))
    canister.call("go", b"")
    for _ in range(2):
        assert "\0" * 10 in failure(canister, "change_and_trap").reason


def test_a_trap_in_init_fails_the_installation():
    with pytest.raises(Trapped, match="IC0502: Canister trapped: unreachable"):
        install('(func (export "canister_init") unreachable)')


def test_the_start_function_runs_once_and_before_init():
    canister = install(
        "(start $begin) (func $begin (call $set (i64.add (global.get $global) (i64.const 5))))"
        '(func (export "canister_init") (call $set (i64.mul (global.get $global) (i64.const 2))))'
    )
    failure(canister, "change_and_trap")
    assert everything(canister)[:2] == (10, 10)


def test_the_version_counts_changes():
    canister = install()
    assert number(canister, "get_version") == 1
    canister.call("change", b"")
    assert number(canister, "get_version") == 2


# Answers and the System API


MISUSE = {
    "a second reply": ("(call $msg_reply) (call $msg_reply)", "IC0504 ic0.msg_reply: the call is already replied"),
    "a reject after a reply": (
        "(call $msg_reply) (call $msg_reject (I.const 0) (I.const 0))",
        "IC0504 already replied",
    ),
    "no reply": ("", "IC0506 did not reply to the call"),
    "a rejection": ("(call $msg_reject (I.const 1040) (I.const 10))", "IC0406 on purpose"),
    "a rejection that is no text": ("(call $msg_reject (I.const 1050) (I.const 1))", "IC0504 invalid UTF-8"),
    "a reply from past the heap": ("(call $append (I.const 65530) (I.const 7))", "IC0504 exceeds the slice size=65536"),
    "an argument to past the heap": ("(call $arg_copy (I.const -1) (I.const 0) (I.const 2))", "IC0504 heap: src="),
    "an argument from past its end": ("(call $arg_copy (I.const 0) (I.const -1) (I.const 2))", "IC0504 payload: src="),
    "no such stable memory": ("(call $stable_read (i64.const 0) (i64.const -1) (i64.const 2))", "IC0502 stable memory"),
    "too long a reply": ("(call $append (I.const 0) (I.const 2097153))", "IC0504 cannot be larger than 2097152"),
    "a reject code of no reject": ("(drop (call $reject_code))", 'IC0504 "ic0_msg_reject_code" cannot be executed in'),
    "a call made of nothing": ("(drop (call $call_perform))", "IC0504 no call is under construction"),
    "too much certified data": ("(call $certify (I.const 0) (I.const 33))", "IC0504 no larger than 32 bytes"),
    "an address past the heap": ("(drop (i32.load (I.const 65536)))", "IC0502 heap out of bounds"),
    "a division by zero": ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "IC0502 integer division by 0"),
}


@both_word_sizes
@pytest.mark.parametrize(("body", "expected"), MISUSE.values(), ids=MISUSE)
def test_misuse_gets_the_replicas_error(body, expected, bits):
    error = failure(install(method("update", body), bits))
    code, reason = expected.split(" ", 1)
    assert error.code == code
    assert reason in error.reason


# Methods that take a pointer P and a size S, two words, from their argument.
POINTED = {
    "reply": "(call $append P S)",
    "reject": "(call $msg_reject P S)",
    "trap": "(call $trap P S)",
    "certify": "(call $certify P S)",
    "copy_to": "(call $arg_copy P (I.const 0) S)",
    "copy_from": "(call $arg_copy (I.const 0) P S)",
    "self": "(call $self_copy P (I.const 0) S)",
    "callee": "(call $call_new P S (I.const 0) (I.const 0) (I.const 0) (I.const 0) (I.const 0) (I.const 0))",
    "callback": """(call $self_copy (I.const 64) (I.const 0) (call $self_size))
      (call $call_new (I.const 64) (call $self_size) (I.const 1024) (I.const 3) P S S P) (drop (call $call_perform))""",
    "stable_from": "(call $stable_write (i64.const 0) (i64.extend_i32_u (i32.const 1)) (i64.load (I.const 8)))",
    "stable_to": "(call $stable_read (i64.const 0) (i64.load (I.const 0)) (i64.load (I.const 8)))",
    "load": "(drop (i64.load P))",
    "fill": "(memory.fill P (i32.const 0) S)",
}
FAR = [2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1]


@both_word_sizes
def test_pointers_and_sizes_past_the_heap_are_errors(bits):
    load = "(call $arg_copy (I.const 0) (I.const 0) (I.const 16))"
    words = {"P": "(I.load (I.const 0))", "S": f"(I.load (I.const {bits // 8}))"}
    bodies = {name: re.sub(r"\b[PS]\b", lambda match: words[match[0]], body) for name, body in POINTED.items()}
    canister = install(
        "".join(f'(func (export "canister_update {name}") {load} {bodies[name]})' for name in bodies), bits
    )
    far = [value for value in FAR if value < 2**bits]
    for name, (pointer, size) in itertools.product(
        bodies, [*itertools.product(far, [1, *far]), *((0, s) for s in far)]
    ):
        if name == "load" and pointer == 0:
            continue
        arg = pointer.to_bytes(bits // 8, "little") + size.to_bytes(bits // 8, "little")
        with pytest.raises((Trapped, Rejected)):
            canister.call(name, arg.ljust(16, b"\xff"))


def test_a_query_may_not_set_a_timer():
    error = failure(install(method("query", "(drop (call $timer_set (i64.const 1)))")))
    assert '"ic0_global_timer_set" cannot be executed in non replicated query mode' in error.reason


def test_the_start_function_may_not_ask_for_the_time():
    with pytest.raises(Trapped, match='"ic0_time" cannot be executed in start mode'):
        install("(start $begin) (func $begin (drop (call $time)))")


def test_a_missing_system_api_is_never_silent():
    root_key = '(import "ic0" "root_key_size" (func $key (result i64)))'
    body = '(func (export "canister_update go") (drop (call $key)) (call $reply))'
    reply = '(import "ic0" "msg_reply" (func $reply)) (memory i64 1)'
    with pytest.raises(NotProvided, match="root_key_size"):
        Canister.install(wasmtime.wat2wasm(f"(module {root_key} {reply} {body})"), b"").call("go", b"")


def test_32_bit_stable_memory_is_the_same_memory():
    canister = Canister.install(
        wasmtime.wat2wasm("""(module
        (import "ic0" "stable_grow" (func $grow (param i32) (result i32)))
        (import "ic0" "stable_write" (func $write (param i32 i32 i32)))
        (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
        (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
        (import "ic0" "msg_reply" (func $reply))
        (memory 1) (data (i32.const 8) "stable")
        (func (export "canister_update go")
          (drop (call $grow (i32.const 1)))
          (call $write (i32.const 100) (i32.const 8) (i32.const 6))
          (call $read (i64.const 50) (i64.const 100) (i64.const 6))
          (i32.store (i32.const 60) (call $grow (i32.const 65536)))
          (call $append (i32.const 50) (i32.const 14)) (call $reply)))"""),
        b"",
    )
    assert canister.call("go", b"") == b"stable" + bytes(4) + b"\xff\xff\xff\xff"


# Limits


def grow(kind: str, pages: int) -> str:
    return method(kind, f"(call $answer_word (memory.grow (I.const {pages})))")


@pytest.mark.parametrize("limit", ["1 MiB", 1 << 20])
def test_growth_past_the_memory_limit_fails_and_is_undone(limit):
    canister = install(grow("update", 20), wasm_memory_limit=limit)
    error = failure(canister)
    assert error.code == "IC0539"
    assert "Wasm memory limit of 1048576 bytes. The peak Wasm memory usage was 1376256 bytes." in error.reason
    assert canister.heap_bytes == 65536


def test_the_memory_limit_is_the_reason_whatever_happens_next():
    canister = install(method("update", "(drop (memory.grow (I.const 20))) unreachable"), wasm_memory_limit="1 MiB")
    assert failure(canister).code == "IC0539"


def test_the_memory_limit_is_3_gib_unless_given():
    assert failure(install(grow("update", 3 * GIB // 65536))).code == "IC0539"
    assert number(install(grow("update", 3 * GIB // 65536), wasm_memory_limit=0), "go") == 1


def test_a_module_that_starts_above_the_memory_limit_is_not_installed():
    with pytest.raises(Trapped, match="IC0539"):
        install(wasm_memory_limit=65535)


def test_the_memory_limit_does_not_bind_queries():
    assert number(install(grow("query", 20), wasm_memory_limit="1 MiB"), "go") == 1


@pytest.mark.parametrize(("bits", "gib"), [(64, 6), (32, 4)])
def test_growth_past_the_highest_heap_returns_minus_one(bits, gib):
    missing = gib * GIB // 65536 - 1
    too_much = install(grow("update", missing + 1), bits, wasm_memory_limit=0)
    assert number(too_much, "go") == 2**bits - 1
    enough = install(grow("update", missing), bits, wasm_memory_limit=0)
    assert number(enough, "go") == 1
    assert enough.heap_bytes == gib * GIB


def test_a_large_heap_survives_rollbacks():
    fill = "(drop (memory.grow (I.const 81919))) (i64.store (I.const 5368709112) (i64.const 9))"
    canister = install(
        method("update", fill + "(call $answer (i64.const 5368709112))")
        + '(func (export "canister_query top") (call $answer (i64.load (I.const 5368709112))))',
        wasm_memory_limit="6 GiB",
    )
    assert number(canister, "go") > 1 << 32
    failure(canister, "change_and_trap")
    assert number(canister, "top") == 9
    assert canister.heap_bytes == 5 * GIB


def test_data_that_was_not_touched_survives_rollbacks():
    canister = Canister.install(
        wasmtime.wat2wasm("""(module
        (import "ic0" "msg_reply_data_append" (func $append (param i64 i64)))
        (import "ic0" "msg_reply" (func $reply))
        (memory i64 9) (data (i64.const 300000) "data")
        (func (export "canister_update trap") unreachable)
        (func (export "canister_query get") (call $append (i64.const 300000) (i64.const 4)) (call $reply)))"""),
        b"",
    )
    failure(canister, "trap")
    assert canister.call("get", b"") == b"data"


@pytest.mark.parametrize("kind", ["query", "update"])
def test_an_endless_loop_is_stopped(kind):
    canister = install(method(kind, "(loop (br 0))"), instruction_limits={kind: 10**6})
    error = failure(canister)
    assert str(error) == "IC0522: Canister exceeded the limit of 1000000 instructions for single message execution."
    assert canister.instructions == 10**6


@pytest.mark.parametrize("kind", ["init", "post_upgrade", "pre_upgrade", "start"])
def test_an_endless_installation_or_upgrade_is_stopped(kind):
    start = "(start $begin)" if kind == "start" else ""
    body = f'{start} (func $begin (export "{kind if start else f"canister_{kind}"}") (loop (br 0)))'
    with pytest.raises(Trapped, match="IC0522"):
        install(body, instruction_limits=FEW_INSTRUCTIONS).upgrade(arg=b"")


@pytest.mark.parametrize(
    "body",
    [
        "(loop (drop (call $time)) (br 0))",
        """(drop (memory.grow (I.const 100))) (drop (call $stable_grow (i64.const 100)))
        (loop (call $stable_write (i64.const 0) (i64.const 0) (i64.const 6553600)) (br 0))""",
    ],
    ids=["many", "large"],
)
def test_endless_system_api_calls_reach_the_limit(body):
    canister = install(method("update", body), instruction_limits={"update": 10**7})
    assert failure(canister).code == "IC0522"
    assert canister.instructions == 10**7
    assert canister.heap_bytes == PAGE


def test_a_message_with_too_many_system_api_calls_is_stopped(monkeypatch):
    monkeypatch.setattr(system_api, "MAX_SYSTEM_CALLS", 500)
    canister = install(method("update", "(loop (drop (call $stable_size)) (br 0))"))
    with pytest.raises(NotProvided, match="System API more than 500 times"):
        canister.call("go", b"")


def test_deep_recursion_is_a_stack_overflow():
    error = failure(install('(func $deep (export "canister_update go") (call $deep) (call $deep))'))
    assert str(error) == "IC0502: Canister trapped: stack overflow"


# Low memory: one page at first, four allowed, and the hook counts its runs in the global


HOOK = (
    '(func (export "canister_on_low_wasm_memory") (global.set $global (i64.add (global.get $global) (i64.const 1))) {})'
)


def low_memory(body: str = "", bits: int = 64, hook: str = "", threshold: int | str = 2 * PAGE) -> Canister:
    body = HOOK.format(hook) + (body or grow("update", 1))
    return install(body, bits, wasm_memory_limit=4 * PAGE, wasm_memory_threshold=threshold)


@both_word_sizes
@pytest.mark.parametrize("threshold", [2 * PAGE, "128 KiB"])
def test_the_low_memory_hook_runs_once_when_less_than_the_threshold_is_left(bits, threshold):
    canister = low_memory(bits=bits, threshold=threshold)
    runs = [number(canister, "get_global")]
    for _ in range(3):
        canister.call("go", b"")
        runs.append(number(canister, "get_global"))
    assert runs == [0, 0, 1, 1]


def test_the_low_memory_hook_runs_again_once_memory_was_free():
    canister = low_memory()
    for _ in range(2):
        canister.call("go", b"")
        canister.call("go", b"")
        assert number(canister, "get_global") == 1
        canister.upgrade(arg=b"")
        assert number(canister, "get_global") == 0


def test_the_low_memory_hook_runs_after_an_installation_or_upgrade():
    canister = low_memory(threshold=4 * PAGE)
    assert number(canister, "get_global") == 1
    canister.upgrade(arg=b"")
    assert number(canister, "get_global") == 0  # As less than the threshold was left all the time.
    canister = low_memory()
    canister.upgrade(wasm(PRELUDE.replace("(memory W 1)", "(memory W 3)") + HOOK.format("")), b"")
    assert number(canister, "get_global") == 1


def test_without_a_memory_limit_the_low_memory_hook_runs_at_once_as_in_the_replica():
    assert number(install(HOOK.format(""), wasm_memory_limit=0), "get_global") == 1
    assert number(install(HOOK.format("")), "get_global") == 0


def test_growth_that_is_undone_runs_no_low_memory_hook():
    canister = low_memory(grow("query", 2))
    canister.call("change", b"")
    before = number(canister, "get_global")
    failure(canister, "change_and_trap")
    canister.call("go", b"")
    canister.update("go", b"")
    assert number(canister, "get_global") == before


def test_a_timer_that_takes_memory_runs_the_low_memory_hook():
    canister = low_memory(timer(MINUTE, "(drop (memory.grow (I.const 2)))"))
    canister.advance(60)
    assert number(canister, "get_global") == 1


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("unreachable", "IC0502: Canister trapped: unreachable"),
        ("(call $msg_reply)", '"ic0_msg_reply" cannot be executed in on low Wasm memory mode'),
    ],
)
def test_a_low_memory_hook_that_traps_is_undone_and_logged(hook, reason, capsys):
    canister = low_memory(grow("update", 2), hook=hook)
    assert number(canister, "go") == 1
    canister.call("get", b"")
    assert (number(canister, "get_global"), canister.heap_bytes) == (0, 3 * PAGE)
    log = capsys.readouterr().err
    assert log.count("[TRAP]") == 1 and reason in log


def test_what_follows_from_the_low_memory_hook_runs():
    go = calls("self", GET, "(call $set (i64.const 13))", "unreachable")
    hook = go.replace("canister_update go", "canister_on_low_wasm_memory")
    canister = install(hook + grow("update", 3), wasm_memory_limit=4 * PAGE, wasm_memory_threshold=PAGE)
    canister.call("go", b"")
    assert number(canister, "get") == 13


# Upgrades


@both_word_sizes
def test_an_upgrade_keeps_stable_memory_and_drops_the_heap(bits):
    canister = install(bits=bits)
    canister.call("change", b"")
    canister.upgrade(arg=b"")
    assert everything(canister)[:5] == (0, 0, 7, 65536, 131072)
    assert number(canister, "get_version") == 3


def test_an_upgrade_may_change_the_word_size():
    canister = install(bits=32)
    canister.call("change", b"")
    canister.upgrade(wasm(PRELUDE, 64), b"")
    assert (canister.word_bits, number(canister, "get_stable")) == (64, 7)


def test_an_upgrade_runs_its_hooks_in_order_and_not_init():
    save = "(drop (call $stable_grow (i64.const 1))) (call $stable_write (i64.const 0) (i64.const 512) (i64.const 8))"
    canister = install(
        f'(func (export "canister_init") (call $set (i64.const 3))) (func (export "canister_pre_upgrade") {save})'
        '(func (export "canister_post_upgrade") (call $stable_read (i64.const 512) (i64.const 0) (i64.const 8)))'
    )
    canister.upgrade(arg=b"")
    assert number(canister, "get") == 3


SPOIL = "(call $set (i64.const 99)) (drop (call $stable_grow (i64.const 9)))"


@pytest.mark.parametrize(
    "new",
    [
        wasm(PRELUDE + f'(func (export "canister_post_upgrade") {SPOIL} unreachable)'),
        wasm(PRELUDE + f"(start $begin) (func $begin {SPOIL.split(')) ')[0]})) unreachable)"),
        b"rubbish",
    ],
    ids=["trap in post_upgrade", "trap in start", "no module"],
)
def test_a_failed_upgrade_leaves_the_old_canister(new):
    canister = install(
        f'(func (export "canister_pre_upgrade") {SPOIL}) (func (export "canister_global_timer") {SPOIL})'
    )
    canister.call("change", b"")
    before = everything(canister)
    with pytest.raises((Trapped, InvalidModule)):
        canister.upgrade(new, b"")
    assert everything(canister) == before
    canister.advance(60)
    assert number(canister, "get") == 99


def test_a_trap_in_pre_upgrade_leaves_the_old_canister():
    canister = install(f'(func (export "canister_pre_upgrade") {SPOIL} unreachable)')
    canister.call("change", b"")
    before = everything(canister)
    with pytest.raises(Trapped):
        canister.upgrade(arg=b"")
    assert everything(canister) == before


# Calls


def calls(callee: str, name: tuple[int, int], on_reply: str, on_reject: str, on_cleanup: str = "") -> str:
    """An update method `go` that calls a method of itself or of a stranger, and its callbacks."""
    callee_size = "(call $self_size)" if callee == "self" else "(I.const 1)"
    return f"""
    (elem (i32.const 3) $on_reply $on_reject $cleanup)
    (func $on_reply (param I) {on_reply}) (func $on_reject (param I) {on_reject}) (func $cleanup (param I) {on_cleanup})
    (func (export "canister_update broken") (call $set (i64.const 13)) (call $trap (I.const 1040) (I.const 10)))
    (func (export "canister_update go")
      (call $self_copy (I.const 64) (I.const 0) (call $self_size))
      (call $set (i64.const 42))
      (call $call_new (I.const 64) {callee_size} (I.const {name[0]}) (I.const {name[1]})
        (I.const 3) (I.const 0) (I.const 4) (I.const 0))
      (call $on_cleanup (I.const 5) (I.const 0))
      (drop (call $call_perform)))"""


GET, BROKEN = (1024, 3), (1032, 6)
COPY_ARG = """(call $arg_copy (I.const 0) (I.const 0) (call $arg_size))
  (call $append (I.const 0) (call $arg_size))
  (call $msg_reply)"""
COPY_REJECT = """(i64.store (I.const 0) (i64.extend_i32_u (call $reject_code)))
  (call $reject_copy (I.const 8) (I.const 0) (call $reject_size))
  (call $append (I.const 0) (I.add (I.const 8) (call $reject_size)))
  (call $msg_reply)"""


@both_word_sizes
def test_a_canister_can_call_itself(bits):
    assert number(install(calls("self", GET, COPY_ARG, "unreachable"), bits), "go") == 42


@both_word_sizes
def test_a_call_that_traps_is_rejected_and_undone(bits):
    canister = install(calls("self", BROKEN, "unreachable", COPY_REJECT), bits)
    reply = canister.call("go", b"")
    assert reply[0] == 5
    assert reply[8:] == (
        b"Error from Canister bkyz2-fmaaa-aaaaa-qaaaq-cai: Canister called `ic0.trap` with message: 'on purpose'"
    )
    assert number(canister, "get") == 42


def test_a_canister_that_calls_itself_for_ever_is_stopped():
    endless = calls("self", (1056, 2), "unreachable", "unreachable") + '(data (I.const 1056) "go")'
    with pytest.raises(NotProvided, match="a chain of more than"):
        install(endless).call("go", b"")


def test_a_call_to_another_canister_is_rejected():
    reply = install(calls("stranger", GET, "unreachable", COPY_REJECT)).call("go", b"")
    assert (reply[0], reply[8:21]) == (3, b"No route to c")


def test_a_trap_in_a_callback_is_undone_and_cleaned_up():
    canister = install(
        calls("self", GET, "(call $set (i64.const 13)) unreachable", "", "(global.set $global (i64.const 5))")
    )
    assert failure(canister).reason == "Canister trapped: unreachable"
    assert everything(canister)[:2] == (42, 5)


def test_a_callback_that_is_no_callback_is_an_error():
    body = calls("self", GET, "unreachable", "unreachable")
    assert failure(install(body.replace("(I.const 3) (I.const 0)", "(I.const 7) (I.const 0)"))).code == "IC0513"
    wrong = "(elem (i32.const 6) $get_version) (func $get_version (result i64) (i64.const 0))"
    error = failure(install(wrong + body.replace("(I.const 3) (I.const 0)", "(I.const 6) (I.const 0)")))
    assert error.reason == "Canister violated contract: function invocation does not match its signature"


def test_a_call_that_never_answers_is_an_error():
    assert failure(install(calls("self", GET, "", ""))).code == "IC0506"


# Timers


def test_a_timer_runs_at_each_of_its_deadlines():
    canister = install(timer(MINUTE, TICK))
    start = canister.time
    canister.advance(59.9)
    assert number(canister, "get_global") == 0
    canister.advance(120.1)
    assert number(canister, "get_global") == 3
    canister.advance(59)
    assert (number(canister, "get"), canister.time) == (start + 3 * MINUTE, start + 239 * 10**9)


def test_a_timer_that_is_always_due_runs_once_a_round():
    canister = install(timer(0, TICK))
    canister.advance(10)
    assert number(canister, "get_global") == 11


def test_a_timer_that_traps_runs_no_more_and_is_logged(capsys):
    canister = install(timer(MINUTE, TICK + "unreachable"))
    canister.advance(600)
    assert number(canister, "get_global") == 0
    assert capsys.readouterr().err.count("[TRAP]: IC0502: Canister trapped: unreachable") == 1


def test_an_upgrade_clears_the_timer():
    canister = install(timer(MINUTE, TICK))
    canister.upgrade(arg=b"")
    canister.advance(600)
    assert number(canister, "get_global") == 0


# Candid and the command line


INTERFACE = """service : {
  echo : (nat32, opt record { name : text }) -> (nat32, opt record { name : text }) query;
  lone : (nat) -> (nat);
}"""
ECHO = """
(@custom "icp:public candid:service" "INTERFACE")
(import "ic0" "msg_reply" (func $reply))
(import "ic0" "msg_reply_data_append" (func $append (param i64 i64)))
(import "ic0" "msg_arg_data_size" (func $size (result i64)))
(import "ic0" "msg_arg_data_copy" (func $copy (param i64 i64 i64)))
(memory i64 1)
(func $echo (export "canister_query echo") (export "canister_update lone")
  (call $copy (i64.const 0) (i64.const 0) (call $size))
  (call $append (i64.const 0) (call $size))
  (call $reply))
"""


def echo(interface: str = INTERFACE) -> bytes:
    return wasm(ECHO.replace("INTERFACE", interface.replace("\n", "\\n")))


def test_candid_is_typed_and_named_by_the_interface():
    canister = Canister.install(echo())
    assert canister.did == INTERFACE
    assert canister.call("echo", '(1, opt record { name = "é" })') == '(1 : nat32, opt record { name = "é" })'
    assert canister.call("lone", "(1_000_000)") == "(1_000_000 : nat)"


@pytest.mark.parametrize("args", ["(", "(true)", '("text")'])
def test_wrong_candid_is_an_error(args):
    with pytest.raises(CandidError):
        Canister.install(echo()).call("lone", args)


def test_init_takes_what_the_service_constructor_says():
    module = echo(INTERFACE.replace("service : ", "service : (nat8) -> "))
    Canister.install(module, "(255)")
    with pytest.raises(CandidError):
        Canister.install(module, "(256)")


def test_without_an_interface_candid_is_untyped():
    canister = Canister.install(echo(""))
    assert canister.did is None
    assert canister.call("echo", "(5)") == "(5 : int)"
    assert Canister.install(echo(""), did=INTERFACE).call("lone", "(5)") == "(5 : nat)"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6 GiB", 6 * GIB),
        ("6GiB", 6 * GIB),
        ("1 kB", 1000),
        ("12", 12),
        (5, 5),
        ("7 B", 7),
        ("0", 0),
        ("1 mib", 1 << 20),
    ],
)
def test_sizes_are_read_as_in_dfx_json(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["six", "6 Gi", "-1", "1.5 GiB", "300 TiB"])
def test_wrong_sizes_are_refused(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        parse_size(text)


def test_the_command_line_prints_just_replies(tmp_path, capsys):
    module = tmp_path / "echo.wasm"
    module.write_bytes(wasm(ECHO))
    assert (
        main([str(module), "--arg", "(1)", "call", "lone", "(7)", "advance", "60", "upgrade", "call", "lone", "(8)"])
        == 1
    )
    module.write_bytes(echo())
    assert main([str(module), "call", "lone", "(7)", "advance", "60", "upgrade", "call", "lone", "(8)"]) == 0
    output = capsys.readouterr()
    assert output.out == "(7 : nat)\n(8 : nat)\n"
    assert "Traceback" not in output.err


def test_the_command_line_takes_a_memory_limit_and_a_threshold(tmp_path, capsys):
    module = tmp_path / "module.wasm"
    module.write_bytes(wasm(PRELUDE + HOOK.format("unreachable")))
    limit = ["--wasm-memory-limit", "256 KiB", "--wasm-memory-threshold"]
    assert main([str(module), *limit, "192 KiB"]) == 0
    assert "[TRAP]" not in capsys.readouterr().err
    assert main([str(module), *limit, "200 KiB"]) == 0
    assert "[TRAP]" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["call", "nope"], ["call", "lone", "(true)"], ["upgrade", "missing.wasm"]])
def test_the_command_line_says_why_it_failed(words, tmp_path, capsys):
    module = tmp_path / "echo.wasm"
    module.write_bytes(echo())
    assert main([str(module), *words]) == 1
    output = capsys.readouterr()
    assert output.out == "" and output.err and "Traceback" not in output.err
