"""Small modules in WebAssembly text. In them, I is the type of an address, and W the index type of the memory."""

import re
from pathlib import Path

import pytest
import wasmtime

from runtime import Canister, CanisterError

PAGE = 1 << 16
both_word_sizes = pytest.mark.parametrize("bits", [64, 32])

PRELUDE = Path(__file__).with_name("prelude.wat").read_text()
"""A canister that can change its heap, a global, stable memory and the timer."""


def wasm(body: str, bits: int = 64) -> bytes:
    """Return the module with a body, for a word size."""
    text = re.sub(r"\bW\b", "i64" if bits == 64 else "", re.sub(r"\bI\b", f"i{bits}", body))
    return bytes(wasmtime.wat2wasm(f"(module {text})"))


def install(body: str = "", bits: int = 64, **settings) -> Canister:
    """Install the prelude with more code."""
    return Canister.install(wasm(PRELUDE + body, bits), b"", **settings)


def method(body: str, kind: str = "update") -> str:
    """Return a method named `go`."""
    return f'(func (export "canister_{kind} go") {body})'


def calls(on_reply: str, on_reject: str = "unreachable", end: str = "") -> str:
    """Return an update method `go` that calls the method `get` of the canister."""
    return f"""
    (elem (i32.const 3) $on_reply $on_reject $cleanup)
    (func $on_reply (param I) {on_reply}) (func $on_reject (param I) {on_reject})
    (func $cleanup (param I) (global.set $global (i64.const 5)))
    (func (export "canister_update go")
      (call $self_copy (I.const 64) (I.const 0) (call $self_size))
      (call $set (i64.const 42))
      (call $call_new (I.const 64) (call $self_size) (I.const 1024) (I.const 3)
        (I.const 3) (I.const 0) (I.const 4) (I.const 0))
      (call $on_cleanup (I.const 5) (I.const 0))
      (drop (call $call_perform)) {end})"""


def number(canister: Canister, name: str) -> int:
    """Return the number that a method replies."""
    reply = canister.call(name, b"")
    assert isinstance(reply, bytes)
    return int.from_bytes(reply, "little")


def everything(canister: Canister) -> tuple[int | None, ...]:
    """Return everything that a message can change: heap, global, stable memory and the sizes of both memories."""
    stable = number(canister, "get_stable") if canister.stable_bytes else None
    return number(canister, "get"), number(canister, "get_global"), stable, canister.heap_bytes, canister.stable_bytes


def failure(canister: Canister, name: str = "go") -> CanisterError:
    """Call a method that fails and return its error."""
    with pytest.raises(CanisterError) as caught:
        canister.call(name, b"")
    return caught.value
