"""A module that runs in wasmtime, and snapshots of its state."""

import ctypes
import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime

from . import errors
from .errors import InvalidModule, Trapped
from .module import MAX_HEAP_BYTES, Module, engine
from .system_api import PAGE, Callback, Message, State, SystemApi, system_api

HEAP_PAGE = 4096
"""Bytes in a page of the heap, as the replica charges for the pages that a message changes."""

_TRAPS = {
    wasmtime.TrapCode.STACK_OVERFLOW: "stack overflow",
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "heap out of bounds",
    wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS: "table out of bounds",
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer division by 0",
    wasmtime.TrapCode.UNREACHABLE: "unreachable",
}
_ZERO_PAGE = bytes(PAGE)


@dataclass
class Snapshot:
    """An instance's memory and its mutable globals by export. Pages of zeros are missing."""

    page_count: int
    pages: dict[int, bytes]
    globals: dict[str, object]

    def changed_since(self, before: "Snapshot") -> int:
        """Return how many pages of `HEAP_PAGE` bytes differ."""
        return sum(
            old[start : start + HEAP_PAGE] != new[start : start + HEAP_PAGE]
            for page in before.pages.keys() | self.pages.keys()
            if (old := before.pages.get(page, _ZERO_PAGE)) is not (new := self.pages.get(page, _ZERO_PAGE))
            for start in range(0, PAGE, HEAP_PAGE)
        )


class Instance(SystemApi):
    """A module in a wasmtime store. `close` frees its memory at once."""

    def __init__(self, module: Module) -> None:
        super().__init__()
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
        self._added = {
            name.removeprefix(module.prefix): item
            for name, item in self._exports.items()
            if name.startswith(module.prefix)
        }
        self.memory = self._added.get("memory")
        self.counter = self._added["counter"]

    def close(self) -> None:
        self.store.close()

    def run(self, function: str | Callback, message: Message, state: State, limit: int, max_pages: int) -> None:
        """Call an export, or a callback.

        Raises `Trapped` if it traps, takes more than `limit` instructions, grows the heap past `max_pages` or uses the
        System API wrongly.
        """
        self.message, self.state, self.limit, self.charged, self.calls = message, state, limit, 0, 0
        self.counter.set_value(self.store, limit)
        self._added["pages"].set_value(self.store, max_pages)
        try:
            if isinstance(function, str):
                self._exports[function](self.store)
            elif "callback" in self._added:
                self._added["callback"](self.store, min(function[0], (1 << 32) - 1), function[1])
            else:
                raise errors.violation("table not found")
        except wasmtime.Trap as trap:
            # Each function charges for its call at once, so a callback without instructions never began.
            if not self.instructions() and not isinstance(function, str):
                raise _no_callback(trap.trap_code, function[0]) from None
            raise errors.trapped(_TRAPS.get(trap.trap_code or wasmtime.TrapCode.INTERRUPT, "unknown")) from None
        finally:
            if self.instructions() > limit:
                raise errors.out_of_instructions(limit) from None

    def snapshot(self, before: Snapshot | None = None) -> Snapshot:
        """Return what the instance is now. The result shares with `before` the pages that are the same."""
        values = {name: item.value(self.store) for name, item in self._added.items() if name.startswith("global ")}
        if not self.memory:
            return Snapshot(0, {}, values)
        base, count = self.heap_address(), self.memory.size(self.store)
        old = before.pages if before else {}
        pages = {}
        for page in _touched_pages(base, count):
            data = ctypes.string_at(base + page * PAGE, PAGE)
            if data != _ZERO_PAGE:
                pages[page] = old[page] if old.get(page) == data else data
        return Snapshot(count, pages, values)

    def restore(self, snapshot: Snapshot) -> None:
        """Give a new instance the state of the snapshot."""
        for name, value in snapshot.globals.items():
            self._added[name].set_value(self.store, value)
        if not self.memory:
            return
        initial = self.memory.size(self.store)
        self.memory.grow(self.store, snapshot.page_count - initial)
        base = self.heap_address()
        for page in snapshot.pages.keys() | set(range(initial)):
            ctypes.memmove(base + page * PAGE, snapshot.pages.get(page, _ZERO_PAGE), PAGE)


def _no_callback(code: wasmtime.TrapCode | None, index: int) -> Trapped:
    if code == wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS:
        return Trapped("IC0513", f"Canister requested to invoke a non-existent Wasm function {index} from table 0")
    if code == wasmtime.TrapCode.INDIRECT_CALL_TO_NULL:
        return errors.violation("unexpected null function reference")
    return errors.violation("function invocation does not match its signature")


def _touched_pages(start: int, count: int) -> Iterable[int]:
    """Return which of `count` pages at an address in this process may hold more than zeros.

    On Linux these are the pages in memory or swapped out, by bits 63 and 62 of an entry of 8 bytes for each page of the
    system (Documentation/admin-guide/mm/pagemap.rst in Linux). Elsewhere they are all pages.
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
