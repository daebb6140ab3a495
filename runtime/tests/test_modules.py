"""The runtime accepts and refuses the same modules as the replica."""

import gzip
import re

import pytest

from runtime import Canister, InvalidModule, NotProvided
from runtime.tests.modules import PRELUDE, both_word_sizes, everything, method, wasm

FUNC = '(func (export "{}"))'
REFUSED = {
    "unknown import": ('(import "env" "print" (func))', "function 'print' from 'env' that is not exported"),
    "import of a vector": ('(import "ic0" "time" (func (result v128)))', "return type [I64] for 'time', got [V128]"),
    "32-bit pointers": (
        '(import "ic0" "trap" (func (param i32 i32))) (memory i64 1)',
        "[I64, I64] for 'trap', got [I32",
    ),
    "query with a parameter": ('(func (export "canister_query q") (param i32))', "got [I32]"),
    "reserved prefix": (FUNC.format("canister_start x"), "Exporting reserved function 'canister_start x'"),
    "two methods": (FUNC.format("canister_query a") + FUNC.format("canister_update a"), "Duplicate function 'a'"),
    "reserved export": ('(memory (export "stable_memory") 1)', "Exporting reserved symbol stable_memory"),
    "large memory": ("(memory i64 98305)", "size of 98305 pages which exceeds the maximum allowed size of 98304 pages"),
    "data outside the memory": ('(memory 1) (data (i32.const 65536) "x")', "Wasm module has invalid data segment"),
    "broken names": ('(@custom "name" "\\01\\05")', "Canister's Wasm module is not valid"),
    "table.set": ("(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))", "instruction TableSet."),
    "two memories": ("(memory 1) (memory 1)", "multiple memories"),
}
NOT_INSTANTIATED = {
    "imported memory": ('(import "env" "memory" (memory 1))', "unknown import: `env::memory` has not been defined"),
    "two tables": ("(table 1 funcref) (table 1 funcref)", "table count too high at 2"),
    "large table": ("(table 10000000 funcref)", "table minimum size of 10000000 elements exceeds table limits"),
}
STATUS = '(import "ic0" "canister_status" (func $status (result i32)))'
ACCEPTED = {
    "function that is not provided": STATUS,
    "maximum above 6 GiB": "(memory i64 1 98305)",
    "name of a global": FUNC.format("canister global 0") + "(global (mut i32) (i32.const 0))",
    "name of the memory": '(memory 1) (global (export "canister memory") i32 (i32.const 0))',
    "one import twice": '(import "ic0" "time" (func (result i64)))' * 2,
    "vectors": '(global v128 (v128.const i64x2 1 1)) (func (export "v") (param v128) (result v128) (local.get 0))',
}
NOT_PROVIDED = {
    "vector that changes": "(global (mut v128) (v128.const i64x2 1 1))",
    "global reference": "(global externref (ref.null extern))",
    "start function": "(func $start) (start $start)",
    "name of this runtime": FUNC.format("runtime memory"),
    "function of the System API": STATUS + method("(drop (call $status))"),
    "deciding on messages": FUNC.format("canister_inspect_message") + method(""),
    "composite query": FUNC.format("canister_composite_query go"),
}


@pytest.mark.parametrize(
    ("body", "reason"), [*REFUSED.values(), *NOT_INSTANTIATED.values()], ids=[*REFUSED, *NOT_INSTANTIATED]
)
def test_module_that_breaks_a_rule_is_refused(body, reason):
    with pytest.raises(InvalidModule, match=re.escape(reason)) as caught:
        Canister.install(wasm(body, 32), b"")
    assert caught.value.code == ("IC0505" if (body, reason) in REFUSED.values() else "IC0521")


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_unusual_module_is_installed(body):
    Canister.install(wasm(body, 32), b"").upgrade(arg=b"")


@pytest.mark.parametrize("body", NOT_PROVIDED.values(), ids=NOT_PROVIDED)
def test_module_beyond_this_runtime_is_not_provided(body):
    with pytest.raises(NotProvided):
        Canister.install(wasm(body), b"").update("go", b"")


@both_word_sizes
def test_module_of_each_word_size_runs_gzipped(bits):
    canister = Canister.install(gzip.compress(wasm(PRELUDE, bits)), b"")
    canister.call("change", b"")
    assert everything(canister) == (7, 7, 7, 131072, 131072)
    assert (canister.word_bits, "call_perform" in canister.imports) == (bits, True)
    assert {"canister_query get"} < canister.exports and not any("runtime" in name for name in canister.exports)


@pytest.mark.parametrize(
    "data",
    [wasm(PRELUDE)[:1000], gzip.compress(wasm(PRELUDE))[:-9], b"(module)"],
    ids=["cut module", "cut gzip", "Wasm text"],
)
def test_data_that_is_no_module_is_refused(data):
    with pytest.raises(InvalidModule):
        Canister.install(data, b"")
