"""Run one Internet Computer canister without a replica.

This is a test double for the IC replica, on wasmtime: one canister on one subnet, with the replica's Wasm features, its
rules about modules, the System API, stable memory, timers with a clock that the caller moves, upgrades, limits of
memory and instructions, and the replica's error codes and sentences.

It is not a replica. It has no other canisters (a call to any, the management canister included, is rejected like one
to an unknown canister), no consensus, signatures or certificates, no heartbeat, no calls from composite queries, and it
charges no cycles. Instructions are counted by the replica's rules and prices; only pages of stable memory that a message
changes and the canister's log are free. Where the canister needs something that is missing here, `NotProvided` is raised.

    python tools/canister.py hello.wasm call greet '("ICP")' advance 180 call ticks
"""

import argparse
import ctypes
import gzip
import io
import mmap
import re
import subprocess
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Self

import wasmtime
import workspace
from system_api import (
    PAGE,
    Call,
    CallContext,
    CanisterError,
    InvalidModule,
    Message,
    NotProvided,
    Rejected,
    State,
    SystemApi,
    Trapped,
    World,
    log,
    out_of_instructions,
    principal_bytes,
    principal_text,
    system_api,
    trapped,
    violation,
)

__all__ = ["CandidError", "Canister", "CanisterError", "InvalidModule", "NotProvided", "Rejected", "Trapped"]

MAX_HEAP_BYTES = {32: 4 << 30, 64: 6 << 30}
"""The most Wasm memory that the Internet Computer gives a canister, in bytes, by word size. More has been proposed
for 64 bits, so it may be raised: here and nowhere else."""

DEFAULT_WASM_MEMORY_LIMIT = 3 << 30
"""The `wasm_memory_limit` of a new canister, in bytes, whatever its word size (`DEFAULT_WASM_MEMORY_LIMIT` in the
replica)."""

MAX_MODULE_BYTES = 100 << 20
"""The largest module, decompressed (`WASM_MAX_SIZE` in the replica)."""

INSTRUCTION_LIMITS = {"update": 40 * 10**9, "query": 5 * 10**9, "install": 300 * 10**9}
"""Instructions that one message may take (rs/config/src/subnet_config.rs in the replica). "install" is for each
message of an installation or upgrade."""

HEAP_PAGE = 4096
"""Bytes in a page of the heap, as the replica charges for those that a message changes."""

CHANGED_PAGE_PRICES = {32: 1_000, 64: 4_000}
"""Instructions for each page of the heap that a message changes, by word size (`dirty_page_overhead` in the replica;
measured on it)."""

MAX_FOLLOWING_MESSAGES = 10_000
"""Messages that may follow from one, so that a canister that calls itself for ever does not hang its tester."""

START_TIME = 1_767_225_600 * 10**9
"""2026-01-01 00:00 UTC in nanoseconds since 1970: any fixed time will do."""

ROUND = 10**9
"""Nanoseconds until a global timer that is set to a time already past runs again."""

CANISTER_ID = "bkyz2-fmaaa-aaaaa-qaaaq-cai"
ANONYMOUS = "2vxsx-fae"
MANAGEMENT_CANISTER = b""

_QUERY = {"canister_query": "NRQ", "canister_composite_query": "CQ"}
_UPDATE = {"canister_update": "U", "canister_query": "RQ"}
_HOOKS = ("init", "pre_upgrade", "post_upgrade", "inspect_message", "heartbeat", "global_timer", "on_low_wasm_memory")
_COUNTER = "canister counter_instructions"
_ADDED_EXPORTS = (_COUNTER, "canister memory", "canister table", "canister global ", "canister_start")
_LIMIT_NAMES = {"I": "install", "G": "install", "s": "install", "NRQ": "query", "CQ": "query", "F": "query"}
_TRAPS = {
    wasmtime.TrapCode.STACK_OVERFLOW: "stack overflow",
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "heap out of bounds",
    wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS: "table out of bounds",
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer division by 0",
    wasmtime.TrapCode.UNREACHABLE: "unreachable",
}

_PageArray = ctypes.c_ubyte * PAGE
_ZERO_PAGE = bytes(PAGE)


class CandidError(ValueError):
    """Text is no Candid, or a value does not have the type that the interface says."""


# Modules


@dataclass(frozen=True)
class Module:
    """A module that the replica would accept, compiled."""

    wasm: bytes
    compiled: wasmtime.Module
    word_bits: int
    imports: frozenset[str]
    exports: frozenset[str]


def read_module(source: Path | bytes) -> Module:
    """Decompress, check and compile a module given as a file or as its bytes, gzipped or not.

    Raises `InvalidModule` with the replica's reason ("WebAssembly module requirements" in the IC interface
    specification), and `OSError` where the file cannot be read.
    """
    data = bytes(source) if isinstance(source, bytes | bytearray) else Path(source).read_bytes()
    return _load(_decompress(data))


def _decompress(data: bytes) -> bytes:
    gzipped = data.startswith(b"\x1f\x8b\x08")
    size = int.from_bytes(data[-4:], "little") if gzipped else len(data)
    if size > MAX_MODULE_BYTES:
        raise _invalid(f"Wasm module size of {size} exceeds the maximum allowed size of {MAX_MODULE_BYTES}.")
    if gzipped:
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(size + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise _invalid(f"Failed to decode wasm module: failed to decode compressed Wasm module: {error}") from None
        if len(data) != size:
            reason = f"specified uncompressed size {size} does not match extracted size {len(data)}"
            raise _invalid(f"Failed to decode wasm module: {reason}")
    if not data.startswith(b"\0asm"):
        raise _invalid("Failed to decode wasm module: unsupported canister module format")
    return data


@lru_cache(maxsize=8)
def _load(wasm: bytes) -> Module:
    try:
        prepared = _native("prepare", str(MAX_HEAP_BYTES[64] // PAGE), stdin=wasm)
        compiled = wasmtime.Module(_engine(), prepared)
    except (ValueError, wasmtime.WasmtimeError) as error:
        raise _invalid(str(error)) from None
    types = {export.name: export.type for export in compiled.exports}
    memory = types.get("canister memory")
    word_bits = 64 if memory and memory.is_64 else 32
    _check_imports(compiled, word_bits)
    _check_exports(types)
    if any(name.startswith("canister global ") and str(types[name].content) == "v128" for name in types):
        raise NotProvided("mutable globals of type v128")
    names = frozenset(name for name in types if not name.startswith(_ADDED_EXPORTS))
    return Module(wasm, compiled, word_bits, frozenset(item.name for item in compiled.imports), names)


@cache
def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.memory_reservation = MAX_HEAP_BYTES[64]  # So that a heap that grows is never copied.
    config.memory_init_cow = False  # Data would be in files, where `_touched_pages` does not see it.
    return wasmtime.Engine(config)


@lru_cache(maxsize=8)
def interface(module: Module) -> str:
    """The interface in the custom section `candid:service`, or else ""."""
    return _native("interface", stdin=module.wasm).decode(errors="replace")


def _check_imports(compiled: wasmtime.Module, word_bits: int) -> None:
    api = system_api(word_bits)
    for item in compiled.imports:
        if not isinstance(item.type, wasmtime.FuncType):
            kind = type(item.type).__name__.removesuffix("Type").lower()
            raise _invalid(f"Wasm module has an invalid import section. Importing a {kind} is not allowed.")
        if item.name not in api:
            reason = f"Module imports function '{item.name}' from '{item.module}' that is not exported by the runtime."
            raise _invalid(f"Wasm module has an invalid import section. {reason}")
        if item.module != "ic0":
            reason = (
                f'Module imports function "{item.name}" from "{item.module}", '
                'expected to be imported from one of ["ic0"] instead.'
            )
            raise _invalid(f"Wasm module has an invalid import section. {reason}")
        _check_signature(item.name, item.type, api[item.name].params, api[item.name].results)


def _check_exports(types: dict[str, object]) -> None:
    methods: set[str] = set()
    for name, ty in types.items():
        if not isinstance(ty, wasmtime.FuncType) or name.startswith(_ADDED_EXPORTS):
            continue
        kind, space, method = name.partition(" ")
        if space and (kind in _QUERY or kind in _UPDATE):
            if method in methods:
                raise _invalid(
                    f"Duplicate function '{method}' exported multiple times with different call types: "
                    "update, query, or composite_query."
                )
            methods.add(method)
        elif not name.startswith("canister_"):
            continue
        elif name.removeprefix("canister_") not in _HOOKS:
            reason = f"Exporting reserved function '{name}' with \"canister_\" prefix"
            raise _invalid(f"Wasm module has an invalid export section. {reason}")
        _check_signature(name, ty, (), ())
    if len(methods) > 1000:
        raise _invalid(
            "The number of exported functions called `canister_update <name>`, `canister_query <name>`, or "
            f"`canister_composite_query <name>` is {len(methods)} which exceeds 1000."
        )
    if (total := sum(len(method.encode()) for method in methods)) > 20_000:
        raise _invalid(
            "The sum of `<name>` lengths in exported functions called `canister_update <name>`, "
            "`canister_query <name>`, or `canister_composite_query <name>` "
            f"is {total} which exceeds the allowed limit of 20000."
        )


def _check_signature(name: str, ty: wasmtime.FuncType, params: Sequence[str], results: Sequence[str]) -> None:
    for what, expected, types in (("input params", params, ty.params), ("return type", results, ty.results)):
        got = [str(value) for value in types]
        if got != list(expected):
            wanted, found = (f"[{', '.join(values)}]".upper() for values in (expected, got))
            raise _invalid(
                f"Wasm module has an invalid function signature. Expected {what} {wanted} for '{name}', got {found}."
            )


def _invalid(reason: str) -> InvalidModule:
    return InvalidModule("IC0505", f"Canister's Wasm module is not valid: {reason}")


def _native(*arguments: str, stdin: bytes) -> bytes:
    """What `tools/native` answers. Raises `ValueError` with its reason."""
    done = subprocess.run([workspace.native_tool(), *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip())
    return done.stdout


def encode(did: str, args: str, *method: str) -> bytes:
    """Candid text as bytes, typed as the arguments of `method`, or of the service constructor where none is given.

    Raises `CandidError`. An empty `did`, or a method that it lacks, leaves the values untyped; so it is in `decode`.
    """
    return _candid("encode", *method, stdin=f"{did}\0{args}".encode())


def decode(did: str, reply: bytes, method: str) -> str:
    """What `method` replied, as text in the form that dfx prints. Raises `CandidError`."""
    return _candid("decode", method, stdin=f"{did}\0".encode() + reply).decode()


def _candid(*arguments: str, stdin: bytes) -> bytes:
    try:
        return _native(*arguments, stdin=stdin)
    except ValueError as error:
        raise CandidError(str(error)) from None


# Instances


@dataclass
class Snapshot:
    """An instance's memory, in pages that are not all zeros by number, and its mutable globals by export."""

    page_count: int
    pages: dict[int, bytes]
    globals: dict[str, object]

    def changed_since(self, before: Self) -> int:
        """How many pages of `HEAP_PAGE` bytes differ."""
        return sum(
            old[start : start + HEAP_PAGE] != new[start : start + HEAP_PAGE]
            for page in before.pages.keys() | self.pages.keys()
            if (old := before.pages.get(page, _ZERO_PAGE)) is not (new := self.pages.get(page, _ZERO_PAGE))
            for start in range(0, PAGE, HEAP_PAGE)
        )


class Instance:
    """A module in a wasmtime store. `close` gives its memory back at once."""

    instructions: int
    """What the last run took, without the pages of the heap that it changed."""

    def __init__(self, module: Module, world: World) -> None:
        self._word = f"i{module.word_bits}"
        self.api = SystemApi(world)
        self.store = self.api.store = wasmtime.Store(_engine())
        self.store.set_limits(memory_size=MAX_HEAP_BYTES[module.word_bits])
        linker = wasmtime.Linker(_engine())
        functions = system_api(module.word_bits)
        for item in module.compiled.imports:
            linker.define_func("ic0", item.name, item.type, self.api.host_function(item.name, functions[item.name]))
        try:
            self._exports = linker.instantiate(self.store, module.compiled).exports(self.store)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise InvalidModule(
                "IC0521", f"Canister encountered a Wasm engine error: Failed to instantiate module: {reason}"
            ) from None
        self.memory = self.api.memory = self._exports.get("canister memory")
        self.api.counter = self._exports[_COUNTER]
        self._globals = [name for name in self._exports if name.startswith("canister global ")]

    def close(self) -> None:
        self.store.close()

    def has(self, export: str) -> bool:
        return isinstance(self._exports.get(export), wasmtime.Func)

    def run(self, function: str | tuple[int, int], message: Message, state: State, limit: int) -> object:
        """Call an export, or a callback given as (table index, environment), and return its result.

        Raises `Trapped` where it traps, takes more than `limit` instructions or uses the System API wrongly.
        """
        self.api.message, self.api.state, self.api.instruction_limit = message, state, limit
        self.api.charged = self.api.calls = 0
        self.api.counter.set_value(self.store, limit)
        try:
            return self._function(function)()
        except wasmtime.Trap as trap:
            raise trapped(_TRAPS.get(trap.trap_code, "unknown")) from None
        finally:
            taken = self.api.instructions()
            self.instructions = min(taken, limit)
            if taken > limit:
                raise out_of_instructions(limit) from None

    def _function(self, function: str | tuple[int, int]) -> Callable[[], object]:
        if isinstance(function, str):
            return partial(self._exports[function], self.store)
        index, environment = function
        table = self._exports.get("canister table")
        callback = table.get(self.store, index) if table else None
        if not isinstance(callback, wasmtime.Func):
            raise Trapped("IC0513", f"Canister requested to invoke a non-existent Wasm function {index} from table 0")
        ty = callback.type(self.store)
        if [str(param) for param in ty.params] != [self._word] or ty.results:
            raise violation("function invocation does not match its signature")
        return partial(callback, self.store, environment)

    def snapshot(self, before: Snapshot | None = None) -> Snapshot:
        """What the instance is now. It shares with `before` the pages that are the same."""
        values = {name: self._exports[name].value(self.store) for name in self._globals}
        if not self.memory:
            return Snapshot(0, {}, values)
        base = self.api.heap_address()
        count = self.memory.size(self.store)
        touched = _touched_pages(base, count)
        old = before.pages if before else {}
        pages = {}
        for page in touched:
            data = bytes(_PageArray.from_address(base + page * PAGE))
            if data != _ZERO_PAGE:
                pages[page] = old[page] if old.get(page) == data else data
        return Snapshot(count, pages, values)

    def restore(self, snapshot: Snapshot) -> None:
        """Make a new instance what the one of the snapshot was."""
        for name, value in snapshot.globals.items():
            self._exports[name].set_value(self.store, value)
        if not self.memory:
            return
        initial = self.memory.size(self.store)
        self.memory.grow(self.store, snapshot.page_count - initial)
        base = self.api.heap_address()
        for page in range(initial):
            if page not in snapshot.pages:
                ctypes.memset(base + page * PAGE, 0, PAGE)
        for page, data in snapshot.pages.items():
            ctypes.memmove(base + page * PAGE, data, PAGE)


def _touched_pages(start: int, count: int) -> Iterable[int]:
    """Which of `count` pages at an address in this process may hold more than zeros.

    On Linux those that are in memory or swapped out, bits 63 and 62 of an entry of 8 bytes for each page of the
    system's (Documentation/admin-guide/mm/pagemap.rst in Linux); elsewhere all.
    """
    size = count * PAGE // mmap.PAGESIZE * 8
    try:
        with Path("/proc/self/pagemap").open("rb") as pagemap:
            pagemap.seek(start // mmap.PAGESIZE * 8)
            entries = pagemap.read(size)
    except OSError:
        entries = b""
    if len(entries) != size:
        return range(count)
    used = re.finditer(rb"[\x40-\xff]", entries[7::8])
    return dict.fromkeys(match.start() * mmap.PAGESIZE // PAGE for match in used)


# The canister


class Canister:
    """One installed canister, made with `Canister.install`. Its memory is freed with the object."""

    caller: str
    """The principal, as text, that calls come from."""

    instructions: int
    """What the last message took, as the replica counts it."""

    _instance: Instance | None = None

    def __init__(
        self,
        module: Path | bytes,
        *,
        wasm_memory_limit: int | str = DEFAULT_WASM_MEMORY_LIMIT,
        wasm_memory_threshold: int | str = 0,
        time: int = START_TIME,
        caller: str = ANONYMOUS,
        cycles: int = 3 * 10**12,
        instruction_limits: dict[str, int] | None = None,
        did: str = "",
    ) -> None:
        self._did = did
        self._saved: Snapshot | None = None
        self._module = read_module(module)
        self._limit = parse_size(wasm_memory_limit)
        self._threshold = parse_size(wasm_memory_threshold)
        self._low_memory = False
        self._instruction_limits = INSTRUCTION_LIMITS | (instruction_limits or {})
        self._world = World(principal_bytes(CANISTER_ID), {principal_bytes(caller)}, time)
        self._state = State(cycles)
        self._queue: deque[Callable[[], None]] = deque()
        self.caller = caller
        self.instructions = 0

    @classmethod
    def install(cls, module: Path | bytes, arg: str | bytes = "()", **settings) -> Self:
        """Install a module into a new canister, running its start function and `canister_init`.

        `module` is a file or its content, gzipped or not, for either word size; `arg` is Candid text, or bytes to
        pass as they are. Settings, all optional:

        - `wasm_memory_limit`: in bytes, or text such as "6 GiB" as in dfx.json; 0 = no limit; 3 GiB unless given.
        - `wasm_memory_threshold`: `canister_on_low_wasm_memory` runs when less than this is left, in the same forms;
          0 unless given.
        - `time`: the clock's start in nanoseconds since 1970.
        - `caller`: the principal that installs, calls and controls the canister, as text; anonymous unless given.
        - `cycles`: the balance. Nothing is charged to it.
        - `did`: the interface as Candid text, where the module does not have it: see the attribute of that name.
        - `instruction_limits`: by "update", "query" and "install", where not `INSTRUCTION_LIMITS`.

        Raises `InvalidModule` where the replica would refuse the module, `Trapped` where its code traps,
        `CandidError` for a bad `arg`, `ValueError` for a bad setting, `OSError` for a file that cannot be read.
        """
        canister = cls(module, **settings)
        payload = canister._encode(arg)
        canister._state.version += 1
        canister._start("canister_init", payload)
        canister._check_low_memory()
        canister._drain()
        return canister

    def __del__(self) -> None:
        self._drop()

    # What a user of the Internet Computer can do

    def call(self, method: str, args: str | bytes = "()") -> str | bytes:
        """Call a method as what the module exports it: query or update. See `query` and `update`."""
        is_query = any(f"{kind} {method}" in self.exports for kind in _QUERY)
        return self.query(method, args) if is_query else self.update(method, args)

    def query(self, method: str, args: str | bytes = "()") -> str | bytes:
        """Call a query method, whose changes to the canister are dropped.

        `args` is Candid text, typed by the canister's interface, and the result is Candid text as dfx prints it; or
        both are bytes. Raises `Trapped`, `Rejected`, `NotProvided` or `CandidError`.
        """
        payload = self._encode(args, method)
        kind = self._find(method, _QUERY, "query")
        context = CallContext(principal_bytes(self.caller))
        self._process(Message(_QUERY[kind], context, payload), f"{kind} {method}")
        return self._decode(method, args, context)

    def update(self, method: str, args: str | bytes = "()") -> str | bytes:
        """Call an update method, or a query method in replicated mode, and run all messages that follow from it.

        Arguments, result and errors as for `query`.
        """
        payload = self._encode(args, method)
        context = CallContext(principal_bytes(self.caller))
        self._inspect(method, payload)
        self._deliver(method, payload, context)
        self._drain()
        return self._decode(method, args, context)

    def advance(self, seconds: float) -> None:
        """Move the clock, running `canister_global_timer`, and what follows from it, at each time it is due on the way.

        A trap in it is written to standard error, as a replica writes it to the canister's log.
        """
        if not 0 <= seconds < float("inf"):
            raise ValueError("the clock only moves forward, by a number of seconds")
        target = self._world.time + round(seconds * 10**9)
        last = -1
        while 0 < self._state.timer <= target:
            due = max(self._state.timer, self._world.time)
            if due <= last:
                due = last + ROUND
            if due > target:
                break
            self._world.time = last = due
            self._state.timer = 0
            self._run_task("canister_global_timer")
            self._drain()
        self._world.time = target

    def upgrade(self, module: Path | bytes | None = None, arg: str | bytes = "()") -> None:
        """Upgrade to `module`, or to the same one again: heap and timer go, stable memory stays.

        `canister_pre_upgrade`, the start function and `canister_post_upgrade` run. Raises what `install` raises, and
        the canister is then as it was.
        """
        new = self._module if module is None else read_module(module)
        self._save()
        before = self._module, self._saved, self._state.fork()
        try:
            self._hook("G", "canister_pre_upgrade")
            self._drop()
            self._module, self._saved = new, None
            self._state.timer = 0
            self._state.version += 1
            self._start("canister_post_upgrade", self._encode(arg))
        except BaseException:
            self._drop()
            self._module, self._saved, self._state = before
            raise
        self._check_low_memory()
        self._drain()

    # What can be looked at

    @property
    def did(self) -> str | None:
        """The interface: the setting, else the custom section `candid:service`, else None."""
        return self._did or interface(self._module) or None

    @property
    def heap_bytes(self) -> int:
        return self._ready().api.heap_bytes()

    @property
    def stable_bytes(self) -> int:
        return self._state.stable_pages * PAGE

    @property
    def word_bits(self) -> int:
        """32 or 64: the size of an address in the module's memory."""
        return self._module.word_bits

    @property
    def imports(self) -> frozenset[str]:
        """Names of the `ic0` functions that the module imports."""
        return self._module.imports

    @property
    def exports(self) -> frozenset[str]:
        """Names of everything that the module exports."""
        return self._module.exports

    @property
    def time(self) -> int:
        """The clock, in nanoseconds since 1970."""
        return self._world.time

    @property
    def cycles(self) -> int:
        return self._state.cycles

    @property
    def certified_data(self) -> bytes:
        return self._state.certified_data

    # Candid

    def _encode(self, args: str | bytes, *method: str) -> bytes:
        if isinstance(args, bytes):
            return args
        return encode(self.did or "", args, *method)

    def _decode(self, method: str, args: str | bytes, context: CallContext) -> str | bytes:
        if isinstance(context.answer, CanisterError):
            raise context.answer
        assert context.answer is not None
        if isinstance(args, bytes):
            return context.answer
        return decode(self.did or "", context.answer, method)

    # Messages

    def _find(self, method: str, kinds: dict[str, str], kind: str) -> str:
        for prefix in kinds:
            if f"{prefix} {method}" in self.exports:
                return prefix
        if kinds is _UPDATE and f"canister_composite_query {method}" in self.exports:
            raise Rejected("IC0527", "Composite query cannot be called in replicated mode")
        raise Rejected("IC0536", f"Canister has no {kind} method '{method}'.")

    def _inspect(self, method: str, payload: bytes) -> None:
        if not self._ready().has("canister_inspect_message"):
            return
        message = Message("F", CallContext(principal_bytes(self.caller)), payload, method)
        self._execute(message, "canister_inspect_message")
        if not message.accepted:
            raise Rejected("IC0406", "Canister rejected the message")

    def _deliver(self, method: str, payload: bytes, context: CallContext) -> None:
        try:
            kind = self._find(method, _UPDATE, "update")
        except CanisterError as error:
            self._answer(context, error)
            return
        if kind != "canister_update":
            context.deadline = 0
        self._process(Message(_UPDATE[kind], context, payload), f"{kind} {method}")

    def _process(
        self, message: Message, function: str | tuple[int, int], cleanup: tuple[int, int] | None = None
    ) -> None:
        """Run a message of a call and settle what it means for the call."""
        context = message.context
        failure: CanisterError | None = None
        try:
            self._execute(message, function)
        except Trapped as error:
            failure = error
            if cleanup:
                self._clean_up(context, cleanup, message.rejection)
        else:
            context.pending += len(message.calls)
            self._queue.extend(partial(self._send, call, context) for call in message.calls)
        context.instructions += self.instructions
        if failure and (context.answer is not None or context.pending):
            log(self._world, f"[TRAP]: {failure}")
        if context.answer is not None:
            return
        if failure is None and message.answer is not None:
            self._answer(context, message.answer)
        elif context.pending == 0:
            silence = Rejected("IC0506", f"Canister {CANISTER_ID} did not reply to the call")
            self._answer(context, failure or silence)

    def _clean_up(self, context: CallContext, cleanup: tuple[int, int], rejection: CanisterError | None) -> None:
        try:
            self._execute(Message("C", context, rejection=rejection), cleanup)
        except Trapped as error:
            log(self._world, f"[TRAP]: call_on_cleanup also failed: {error}")

    def _answer(self, context: CallContext, answer: bytes | CanisterError) -> None:
        context.answer = answer
        if context.origin:
            context.origin(context)

    def _send(self, call: Call, caller: CallContext) -> None:
        callee = CallContext(self._world.canister, partial(self._respond, call, caller), call.cycles, call.deadline)
        if call.callee == self._world.canister:
            self._deliver(call.method, call.payload, callee)
        else:
            self._answer(callee, Rejected("IC0301", f"No route to canister {principal_text(call.callee)}"))

    def _respond(self, call: Call, caller: CallContext, callee: CallContext) -> None:
        self._queue.append(partial(self._call_back, call, caller, callee))

    def _call_back(self, call: Call, caller: CallContext, callee: CallContext) -> None:
        caller.pending -= 1
        self._state.cycles += callee.cycles
        answer = callee.answer
        if isinstance(answer, CanisterError):
            message = Message("Rt", caller, rejection=answer, refund=callee.cycles)
            function = call.on_reject
        else:
            message = Message("Ry", caller, answer or b"", refund=callee.cycles)
            function = call.on_reply
        self._process(message, function, call.on_cleanup)

    def _drain(self) -> None:
        try:
            for _ in range(MAX_FOLLOWING_MESSAGES):
                if not self._queue:
                    return
                self._queue.popleft()()
            raise NotProvided(f"a chain of more than {MAX_FOLLOWING_MESSAGES} messages that follow from one")
        finally:
            self._queue.clear()

    def _run_task(self, function: str, mode_name: str = "") -> None:
        if self._ready().has(function):
            context = CallContext(MANAGEMENT_CANISTER, answer=b"")
            self._process(Message("T", context, mode_name=mode_name), function)

    def _start(self, hook: str, arg: bytes) -> None:
        self._hook("s", "canister_start")
        self._hook("I", hook, arg)
        self._check_memory_limit()

    def _hook(self, mode: str, function: str, arg: bytes = b"") -> None:
        if self._ready().has(function):
            self._execute(Message(mode, CallContext(principal_bytes(self.caller)), arg), function)

    def _execute(self, message: Message, function: str | tuple[int, int]) -> None:
        """Run one entry point as a transaction: what it did stays when it returns, unless it is a query, and goes if not."""
        instance = self._ready()
        self._save()
        state = self._state.fork()
        limit = self._instruction_limits[_LIMIT_NAMES.get(message.mode, "update")]
        is_query = message.mode in ("NRQ", "CQ", "RQ", "F")
        try:
            try:
                instance.run(function, message, state, limit)
            finally:
                self.instructions = instance.instructions
                if message.mode in ("I", "s", "U"):
                    self._check_memory_limit()
            if not is_query:
                after = instance.snapshot(self._saved)
                self.instructions += CHANGED_PAGE_PRICES[self.word_bits] * after.changed_since(self._saved)
                if self.instructions > limit:
                    raise out_of_instructions(limit)
        except BaseException:
            self._drop()
            raise
        if is_query:
            self._drop()
        else:
            instance.api.give_up_call()
            self._state, self._saved = state, after
            if message.mode not in ("I", "G", "s"):
                self._check_low_memory()
        if message.mode == "RQ":
            self._state.cycles = state.cycles
        message.context.cycles -= message.accepted_cycles
        if message.mode in ("U", "RQ", "Ry", "Rt", "C", "T"):
            self._state.version += 1

    def _check_memory_limit(self) -> None:
        """Raise the replica's error if the heap is larger than `wasm_memory_limit`.

        The replica looks before an update, after an installation, and at each `memory.grow` of either
        (`effective_wasm_memory_limit` in rs/embedders/src/wasmtime_embedder/system_api.rs). This looks when a message
        has ended, however it ended. As memory never shrinks, only the peak that is reported may differ.
        """
        peak = self.heap_bytes
        if 0 < self._limit < peak:
            raise Trapped(
                "IC0539",
                f"Canister exceeded its current Wasm memory limit of {self._limit} bytes. "
                f"The peak Wasm memory usage was {peak} bytes. "
                "If the canister reaches 4GiB, then it may stop functioning and may become unrecoverable. "
                "Please reach out to the canister owner to investigate the reason for the increased memory usage. "
                "It might be necessary to move data from the Wasm memory to the stable memory. "
                "If such high Wasm memory usage is expected and safe, then the developer can increase "
                "the Wasm memory limit in the canister settings.",
            ) from None

    def _check_low_memory(self) -> None:
        """Make `canister_on_low_wasm_memory` the next message when less than the threshold is left of the memory limit.

        It runs once until that much is left again ("Scheduling on low wasm memory hook" in the specification). Here a
        limit of 0 is 0 bytes, in the specification as in the replica (`is_low_wasm_memory_hook_condition_satisfied`).
        """
        low = self._limit < self.heap_bytes + self._threshold
        if low and not self._low_memory:
            hook = partial(self._run_task, "canister_on_low_wasm_memory", "on low Wasm memory")
            self._queue.appendleft(hook)
        self._low_memory = low

    # The instance: either it or the snapshot is what the canister is now, or both are

    def _ready(self) -> Instance:
        if self._instance is None:
            self._instance = Instance(self._module, self._world)
            if self._saved:
                self._instance.restore(self._saved)
        return self._instance

    def _save(self) -> None:
        if self._saved is None:
            self._saved = self._ready().snapshot()

    def _drop(self) -> None:
        if self._instance:
            self._instance.close()
            self._instance = None


def parse_size(size: int | str) -> int:
    """Bytes, from a number or from text such as "6 GiB", in the forms that dfx.json has for `wasm_memory_limit`.

    Raises `ValueError` for other text and for more than 2^48, the highest that the Internet Computer accepts.
    """
    match = re.fullmatch(r"([0-9]+)(?: *(?:([kmgtpezy])(i?))?b)?", str(size), re.IGNORECASE)
    if not match:
        raise ValueError(f"not a size: {size!r}; write bytes, or for example 6 GiB")
    number, prefix, binary = match.groups()
    base = 1024 if binary else 1000
    result = int(number) * base ** (" kmgtpezy".index(prefix.lower()) if prefix else 0)
    if result > 1 << 48:
        raise ValueError(f"{size} is more than 2^48 bytes, the highest wasm_memory_limit")
    return result


# The command line

_ACTIONS = """\
actions, run in order on the same canister:
  call METHOD [ARGS]   call a query or update method and print its reply; ARGS is Candid text, () unless given
  advance SECONDS      move the clock, running the timers that are due on the way
  upgrade [MODULE]     upgrade to MODULE, or to the same module again
  info                 print word size, memory, imports and the last message's instructions

examples:
  canister.py hello.wasm call greet '("ICP")'
  canister.py hello.wasm advance 180 call ticks upgrade call ticks
  canister.py --wasm-memory-limit "6 GiB" hello.wasm.gz info
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `--help`. Returns the exit code: 0, or 1 with the reason on standard error."""
    parser = _parser()
    options = parser.parse_intermixed_args(arguments)
    try:
        actions = _actions(options.actions)
    except ValueError as error:
        parser.error(str(error))
    try:
        canister = Canister.install(
            options.module,
            options.arg,
            wasm_memory_limit=options.wasm_memory_limit,
            wasm_memory_threshold=options.wasm_memory_threshold,
            caller=options.caller,
            did=options.did.read_text() if options.did else "",
        )
        for action in actions:
            action(canister)
    except (CanisterError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"could not build tools/native: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="canister.py",
        description="Install one canister without a replica and use it.",
        epilog=_ACTIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("module", metavar="MODULE", type=Path, help="a Wasm module, gzipped or not, 32-bit or 64-bit")
    parser.add_argument("actions", metavar="ACTION", nargs="*", help="what to do with it; see below")
    parser.add_argument("--arg", metavar="ARGS", default="()", help="Candid text for canister_init (default: ())")
    parser.add_argument(
        "--wasm-memory-limit",
        metavar="SIZE",
        default=DEFAULT_WASM_MEMORY_LIMIT,
        help="the canister's heap limit, such as 6 GiB; 0 = none (default: 3 GiB, as on the Internet Computer)",
    )
    parser.add_argument(
        "--wasm-memory-threshold",
        metavar="SIZE",
        default=0,
        help="canister_on_low_wasm_memory runs when less of the limit is left, such as 1 GiB (default: 0)",
    )
    parser.add_argument("--did", metavar="FILE", type=Path, help="the interface, where the module has none")
    parser.add_argument("--caller", metavar="PRINCIPAL", default=ANONYMOUS, help="who calls (default: anonymous)")
    return parser


def _actions(words: Sequence[str]) -> list[Callable[[Canister], None]]:
    """The actions that the words ask for. Raises `ValueError` where they ask for none."""
    actions: list[Callable[[Canister], None]] = []
    rest = deque(words)
    while rest:
        name = rest.popleft()
        if name == "call" and rest:
            method = rest.popleft()
            args = rest.popleft() if rest and rest[0].lstrip().startswith("(") else "()"
            actions.append(partial(_print_call, method=method, args=args))
        elif name == "advance" and rest:
            actions.append(partial(Canister.advance, seconds=float(rest.popleft())))
        elif name == "upgrade":
            module = Path(rest.popleft()) if rest and rest[0] not in ("call", "advance", "upgrade", "info") else None
            actions.append(partial(Canister.upgrade, module=module))
        elif name == "info":
            actions.append(_print_info)
        else:
            raise ValueError(f"{name}: not an action, or something is missing after it")
    return actions


def _print_call(canister: Canister, method: str, args: str) -> None:
    print(canister.call(method, args))


def _print_info(canister: Canister) -> None:
    print(f"word size     {canister.word_bits} bits")
    print(f"heap          {canister.heap_bytes} bytes")
    print(f"stable memory {canister.stable_bytes} bytes")
    print(f"instructions  {canister.instructions} in the last message")
    print(f"imports       {' '.join(sorted(canister.imports))}")


if __name__ == "__main__":
    sys.exit(main())
