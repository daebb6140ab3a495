"""Small modules in WebAssembly text, in which I stands for the word type and W for the index type of the memory."""

import re
from pathlib import Path

import pytest
import wasmtime

from runtime import Canister, CanisterError

PAGE = 1 << 16
MINUTE = 60 * 10**9
both_word_sizes = pytest.mark.parametrize("bits", [64, 32])

PRELUDE = Path(__file__).with_name("prelude.wat").read_text()
"""A canister that can change its heap, a global, stable memory and the timer."""


def wasm(body: str, bits: int = 64) -> bytes:
    """Return a module for a word size."""
    text = re.sub(r"\bW\b", "i64" if bits == 64 else "", re.sub(r"\bI\b", f"i{bits}", body))
    return bytes(wasmtime.wat2wasm(f"(module {text})"))


def install(body: str = "", bits: int = 64, **settings) -> Canister:
    """Install the prelude with more code."""
    return Canister.install(wasm(PRELUDE + body, bits), b"", **settings)


def method(body: str, kind: str = "update") -> str:
    """Return a method named `go`."""
    return f'(func (export "canister_{kind} go") {body})'


def grow(pages: int, kind: str = "update") -> str:
    """Return a method named `go` that grows the heap and answers with its old size in pages."""
    return method(f"(I.store (I.const 0) (memory.grow (I.const {pages}))) (call $answer (i64.load (I.const 0)))", kind)


def timer(body: str, nanoseconds: int = MINUTE) -> str:
    """Return code that sets the timer in init and again after `body` in each of its runs."""
    arm = f"(drop (call $timer_set (i64.add (call $time) (i64.const {nanoseconds}))))"
    return f'(func (export "canister_init") {arm}) (func (export "canister_global_timer") {body} {arm})'


def number(canister: Canister, name: str) -> int:
    """Return the number that a method replies."""
    reply = canister.call(name, b"")
    assert isinstance(reply, bytes)
    return int.from_bytes(reply, "little")


def everything(canister: Canister) -> tuple[int | None, ...]:
    """Return what a message can change: heap, global, stable memory and the sizes of both memories."""
    stable = number(canister, "get_stable") if canister.stable_bytes else None
    return number(canister, "get"), number(canister, "get_global"), stable, canister.heap_bytes, canister.stable_bytes


def failure(canister: Canister, name: str = "go") -> CanisterError:
    """Call a method that fails and return its error."""
    with pytest.raises(CanisterError) as caught:
        canister.call(name, b"")
    return caught.value
