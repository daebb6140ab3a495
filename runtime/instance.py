"""A module that runs in wasmtime, with functions that save and restore its state."""

import ctypes
import mmap
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import wasmtime

from . import errors
from .errors import InvalidModule, Trapped
from .module import MAX_HEAP_BYTES, PREFIX, Module, engine
from .system_api import PAGE, ZERO_PAGE, Callback, Message, State, SystemApi, system_api

HEAP_PAGE = 4096
_TRAPS = {
    wasmtime.TrapCode.STACK_OVERFLOW: "stack overflow",
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "heap out of bounds",
    wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS: "table out of bounds",
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer division by 0",
    wasmtime.TrapCode.UNREACHABLE: "unreachable",
}


class Instance(SystemApi):
    """A module in a wasmtime store."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._word_bits = module.word_bits
        self.store = wasmtime.Store(engine())
        self.store.set_limits(memory_size=MAX_HEAP_BYTES[module.word_bits], table_elements=1_000_000, tables=1)
        linker = wasmtime.Linker(engine())
        linker.allow_shadowing = True  # A module can import a function twice.
        functions = system_api(module.word_bits)
        for item in module.compiled.imports:
            if isinstance(item.type, wasmtime.FuncType):
                name = item.name or ""
                linker.define_func("ic0", name, item.type, self.host_function(name, functions[name]))
        try:
            self._exports: dict[str, Any] = dict(linker.instantiate(self.store, module.compiled).exports(self.store))
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            if getattr(error, "trap_code", None) == wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS:
                raise errors.invalid("Wasm module has invalid data segment") from None
            reason = f"Failed to instantiate module: {str(error).splitlines()[-1].strip()}"
            reason = f"Canister encountered a Wasm engine error: {reason}"
            raise InvalidModule("IC0521", errors.from_canister(reason)) from None
        self.memory = self._exports.get(f"{PREFIX}memory")
        self.counter = self._exports[f"{PREFIX}counter"]

    def run(self, function: str | Callback, message: Message, state: State, limit: int, max_pages: int) -> None:
        """Call an export or a callback. Raise `Trapped` if it fails or takes more than `limit` instructions.

        Code that grows the heap past `max_pages` traps.
        """
        self.message, self.state, self.limit, self.charged = message, state, limit, 0
        self.counter.set_value(self.store, limit)
        self._exports[f"{PREFIX}pages"].set_value(self.store, max_pages)
        try:
            if isinstance(function, str):
                self._exports[function](self.store)
            else:
                self._call_back(*function)
        except wasmtime.Trap as trap:
            raise errors.trapped(_TRAPS.get(trap.trap_code or wasmtime.TrapCode.INTERRUPT, "unknown")) from None
        finally:
            if self.instructions() > limit:
                raise errors.out_of_instructions(limit) from None

    def _call_back(self, index: int, environment: int) -> None:
        table = self._exports.get(f"{PREFIX}table")
        if table is None or index >= table.size(self.store):
            raise Trapped("IC0513", f"Canister requested to invoke a non-existent Wasm function {index} from table 0")
        function = table.get(self.store, index)
        if not isinstance(function, wasmtime.Func):
            raise errors.violation("unexpected null function reference")
        ty = function.type(self.store)
        if [str(param) for param in ty.params] != [f"i{self._word_bits}"] or ty.results:
            raise errors.violation("function invocation does not match its signature")
        function(self.store, environment)

    def save(self, state: State) -> None:
        """Copy the heap and the globals to the state. Unchanged pages stay the same objects."""
        added = f"{PREFIX}global "
        state.globals = {name: item.value(self.store) for name, item in self._exports.items() if name.startswith(added)}
        base, old = self.heap_address(), state.heap
        state.heap, state.heap_pages = {}, self.heap_bytes() // PAGE
        for page in _touched_pages(base, state.heap_pages):
            data = ctypes.string_at(base + page * PAGE, PAGE)
            if data != ZERO_PAGE:
                state.heap[page] = old[page] if old.get(page) == data else data

    def restore(self, state: State) -> None:
        """Copy the heap and the globals from the state to a new instance."""
        for name, value in state.globals.items():
            self._exports[name].set_value(self.store, value)
        initial = self.heap_bytes() // PAGE
        if self.memory:
            self.memory.grow(self.store, state.heap_pages - initial)
        base = self.heap_address()
        for page in state.heap.keys() | set(range(initial)):
            ctypes.memmove(base + page * PAGE, state.heap.get(page, ZERO_PAGE), PAGE)


def changed_pages(before: State, after: State) -> int:
    """Return how many pages of 4 KiB differ between two heaps."""
    return sum(
        old[start : start + HEAP_PAGE] != new[start : start + HEAP_PAGE]
        for page in before.heap.keys() | after.heap.keys()
        if (old := before.heap.get(page, ZERO_PAGE)) is not (new := after.heap.get(page, ZERO_PAGE))
        for start in range(0, PAGE, HEAP_PAGE)
    )


def _touched_pages(start: int, count: int) -> Iterable[int]:
    """Return the pages, of `count` pages at an address in this process, that may have other bytes than zeros.

    On Linux, these are the pages in memory or swapped out: bits 63 and 62 of an entry of 8 bytes for each page of the
    system (Documentation/admin-guide/mm/pagemap.rst in Linux). Elsewhere, these are all pages.
    """
    size = count * PAGE // mmap.PAGESIZE * 8
    try:
        with Path("/proc/self/pagemap").open("rb") as pagemap:
            pagemap.seek(start // mmap.PAGESIZE * 8)
            entries = pagemap.read(size)
    except OSError:
        return range(count)
    used = re.finditer(rb"[\x40-\xff]", entries[7::8])
    return dict.fromkeys(match.start() * mmap.PAGESIZE // PAGE for match in used)
