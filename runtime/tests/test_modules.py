"""The runtime accepts the modules that the replica accepts."""

import gzip
import random
import re

import pytest

from runtime import Canister, CanisterError, InvalidModule, NotProvided
from runtime.tests.modules import PRELUDE, both_word_sizes, everything, install, method, number, timer, wasm

FUNC = '(func (export "canister_{}"))'
REFUSED = {
    "unknown import": ('(import "env" "print" (func))', "function 'print' from 'env' that is not exported"),
    "import from elsewhere": ('(import "env" "time" (func (result i64)))', 'imported from one of ["ic0"] instead.'),
    "import of a global": ('(import "ic0" "g" (global i32))', "Importing a global is not allowed"),
    "import of a vector": ('(import "ic0" "time" (func (result v128)))', "return type [I64] for 'time', got [V128]"),
    "32-bit pointers in wasm64": (
        '(import "ic0" "debug_print" (func (param i32 i32))) (memory i64 1)',
        "Expected input params [I64, I64] for 'debug_print', got [I32, I32].",
    ),
    "query with a parameter": ('(func (export "canister_query q") (param v128) unreachable)', "got [V128]"),
    "unknown entry point": (FUNC.format("destroy"), "Exporting reserved function 'canister_destroy'"),
    "reserved prefix": (FUNC.format("start x"), "Exporting reserved function 'canister_start x'"),
    "query and update of one name": (FUNC.format("query a") + FUNC.format("update a"), "Duplicate function 'a'"),
    "reserved export": ('(memory (export "stable_memory") 1)', "Exporting reserved symbol stable_memory"),
    "too many methods": ("".join(FUNC.format(f"query {i}") for i in range(1001)), "`canister_query <name>`, or"),
    "global reference": ("(global externref (ref.null extern))", "Unsupported global type"),
    "large memory": ("(memory i64 98305)", "size of 98305 pages which exceeds the maximum allowed size of 98304 pages"),
    "data outside the memory": ('(memory 1) (data (i32.const 65536) "x")', "Wasm module has invalid data segment"),
    "section without scope": (
        '(@custom "icp:protected a" "")',
        "Custom section 'icp:protected a' has no public/private",
    ),
    "section twice": ('(@custom "icp:public a" "") (@custom "icp:private a" "")', "name a already exists"),
    "broken names": ('(@custom "name" "\\01\\05")', "Canister's Wasm module is not valid"),
    "table.set": ("(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))", "instruction table.set."),
    "two memories": ("(memory 1) (memory 1)", "multiple memories"),
    "relaxed SIMD": ("(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))", "relaxed SIMD"),
    "garbage collection": ("(type (struct))", "without the gc feature"),
}
NOT_INSTANTIATED = {
    "imported memory": ('(import "env" "memory" (memory 1))', "unknown import: `env::memory` has not been defined"),
    "two tables": ("(table 1 funcref) (table 1 funcref)", "table count too high at 2"),
    "large table": ("(table 10000000 funcref)", "table minimum size of 10000000 elements exceeds table limits"),
}
ACCEPTED = {
    "maximum above 6 GiB": "(memory i64 1 98305)",
    "name of a global": FUNC.format("x").replace("canister_x", "runtime global 0") + "(global (mut i32) (i32.const 0))",
    "name of the memory": '(memory 1) (global (export "canister memory") (export "runtime memory") i32 (i32.const 0))',
    "one import twice": '(import "ic0" "time" (func (result i64)))' * 2,
    "constant vector": '(global (export "v") v128 (v128.const i64x2 1 1))',
    "vector function": '(func (export "v") (param v128) (result v128) (local.get 0))',
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_module_that_breaks_a_rule_is_refused(body, reason):
    with pytest.raises(InvalidModule, match=re.escape(reason)) as caught:
        Canister.install(wasm(body, 32), b"")
    assert caught.value.code == "IC0505"


@pytest.mark.parametrize(("body", "reason"), NOT_INSTANTIATED.values(), ids=NOT_INSTANTIATED)
def test_module_that_cannot_be_instantiated_is_refused(body, reason):
    with pytest.raises(InvalidModule, match=re.escape(reason)) as caught:
        Canister.install(wasm(body, 32), b"")
    assert caught.value.code == "IC0521"


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_unusual_module_is_installed(body):
    Canister.install(wasm(body, 32), b"").upgrade(arg=b"")


def test_mutable_vector_global_is_not_provided():
    with pytest.raises(NotProvided, match="v128"):
        Canister.install(wasm("(global (mut v128) (v128.const i64x2 1 1))"), b"")


@both_word_sizes
def test_module_of_each_word_size_runs_gzipped(bits):
    canister = Canister.install(gzip.compress(wasm(PRELUDE, bits)), b"")
    canister.call("change", b"")
    assert everything(canister) == (7, 7, 7, 131072, 131072)
    assert canister.word_bits == bits
    assert "call_perform" in canister.imports
    assert {"canister_query get"} < canister.exports and not any("runtime" in name for name in canister.exports)


def forged(size: int) -> bytes:
    """Return a MiB of zeros in gzip, whose last bytes say that it was `size` bytes."""
    return gzip.compress(bytes(1 << 20))[:-4] + size.to_bytes(4, "little")


DAMAGED = {
    "half a module": (wasm(PRELUDE)[:1000], "failed to validate"),
    "101 MiB": (gzip.compress(bytes(101 << 20)), "exceeds the maximum allowed size of 104857600"),
    "two in one gzip": (gzip.compress(wasm(PRELUDE)) * 2, "does not match"),
    "gzip with a wrong size": (forged(1000), "incorrect length check"),
}


@pytest.mark.parametrize(("data", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_data_that_is_no_module_is_refused(data, reason):
    with pytest.raises(InvalidModule, match=reason):
        Canister.install(data, b"")


def test_damaged_module_fails_with_an_error_or_runs():
    source = random.Random(0)
    whole = wasm(PRELUDE + method("(call $change_all) (call $answer (i64.const 1))") + timer("(call $change_all)"))
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(source.choice([1, 2, 8])):
            damaged[source.randrange(len(damaged))] ^= 1 << source.randrange(8)
        try:
            limits = {"update": 10**6, "query": 10**6, "install": 10**6}
            canister = Canister.install(bytes(damaged), b"", instruction_limits=limits)
            canister.advance(60)
            canister.upgrade(arg=b"")
            canister.call("change", b"")
            outcomes.add("runs")
        except CanisterError as error:
            outcomes.add(type(error).__name__)
    assert {"runs", "InvalidModule"} <= outcomes


def test_missing_system_api_is_reported_when_called():
    module = '(import "ic0" "canister_status" (func $f (result i32)))' + method("(drop (call $f))")
    with pytest.raises(NotProvided, match=r"ic0\.canister_status"):
        Canister.install(wasm(module), b"").call("go", b"")


@pytest.mark.parametrize("export", ["canister_inspect_message", "canister_composite_query go"])
def test_missing_entry_point_is_reported_when_needed(export):
    canister = install(f'(func (export "{export}"))')
    assert number(canister, "get") == 0
    with pytest.raises(NotProvided):
        canister.update("go", b"")


def test_missing_helper_is_named_with_its_command(tmp_path):
    with pytest.raises(OSError, match="Build the helper first: cargo build --release --locked"):
        Canister.install(wasm(""), helper=tmp_path / "helper")
