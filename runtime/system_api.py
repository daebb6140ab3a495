"""The System API: the `ic0` functions that a canister can import.

Signatures and modes are those of "Overview of imports" in the IC interface specification. Prices and sentences are
those of the replica (system_api_complexity.rs and system_api.rs in rs/embedders/src/wasmtime_embedder).
"""

import ctypes
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import wasmtime

from . import errors
from .errors import CANISTER_ID, CanisterError, NotProvided, Rejected, Trapped

PAGE = 65536  # Bytes in a page of Wasm or stable memory.
MAX_STABLE_PAGES = (500 << 30) // PAGE
MAX_QUERY_REPLY = 3 << 20
MAX_UPDATE_REPLY = 2 << 20
SENT_BYTE_PRICE = 50  # Instructions for each byte of a reply, a reject message or a call's argument.
CYCLES = 3 * 10**12  # The balance that the canister always has.
OWN_ID = errors.principal_bytes(CANISTER_ID)
ZERO_PAGE = bytes(PAGE)


@dataclass(frozen=True)
class Signature:
    """A function of ic0.tsv for one word size, with types such as "I64"."""

    params: list[str]
    results: list[str]
    price: int
    modes: list[str]


@cache
def system_api(word_bits: int) -> dict[str, Signature]:
    """Return all `ic0` functions by name, for 32-bit or 64-bit addresses."""
    api: dict[str, Signature] = {}
    for row in Path(__file__).with_name("ic0.tsv").read_text().splitlines()[1:]:
        sizes, types, price, modes, names = row.split("\t")
        if str(word_bits) in sizes:
            params, results = re.sub(r"\bI\b", f"I{word_bits}", types).strip("( ").split(")")
            signature = Signature(params.split(), results.split(), int(price), modes.split(", "))
            api |= dict.fromkeys(names.split(), signature)
    return api


@dataclass
class State:
    """The state of a canister between two messages. The heap and stable memory leave out pages of zeros.

    Times are in nanoseconds since 1970. A timer of 0 is not set.
    """

    time: int
    controller: bytes
    version: int = 0
    timer: int = 0
    stable_pages: int = 0
    stable: dict[int, bytes] = field(default_factory=dict)
    heap_pages: int = 0
    heap: dict[int, bytes] = field(default_factory=dict)
    globals: dict[str, object] = field(default_factory=dict)

    def fork(self) -> "State":
        """Return a copy that can change without a change here."""
        return replace(self, stable=dict(self.stable))


Callback = tuple[int, int]  # The index of a function in the table, and its argument.


@dataclass
class Call:
    """A call or system task in progress ("Call contexts" in the specification). It can take several messages."""

    caller: bytes
    method: str = ""
    payload: bytes = b""
    # The next five are for a call that the canister makes while it answers another call, the parent.
    parent: "Call | None" = None
    callee: bytes = OWN_ID
    on_reply: Callback = (0, 0)
    on_reject: Callback = (0, 0)
    on_cleanup: Callback | None = None
    answer: bytes | CanisterError | None = None
    pending: int = 0  # The number of calls with this call as their parent that have no answer yet.
    instructions: int = 0


@dataclass
class Message:
    """An execution of an entry point: its input, and its results."""

    mode: str  # A mode of ic0.tsv, such as "update".
    call: Call
    payload: bytes = b""  # The argument of a method, the reply for a reply callback, or a reject callback's reason.
    reject_code: int = 0
    data: bytearray = field(default_factory=bytearray)
    answer: bytes | CanisterError | None = None
    new_call: Call | None = None  # The call under construction.
    calls: list[Call] = field(default_factory=list)


class SystemApi:
    """The host functions of a Wasm instance. The first three attributes are set once, the others for each message."""

    store: wasmtime.Store
    memory: wasmtime.Memory | None
    counter: wasmtime.Global  # The limit minus the instructions of the module's own code.
    message: Message
    state: State
    limit: int  # The most instructions for the message.
    charged: int  # The instructions for calls of the System API. They are here because setting a global is slow.

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., int | None]] = {
            "call_with_best_effort_response": lambda _timeout_seconds: None,
            "canister_cycle_balance128": lambda dst: self._put("canister_cycle_balance128", dst, CYCLES),
            "canister_liquid_cycle_balance128": lambda dst: self._put("canister_liquid_cycle_balance128", dst, CYCLES),
            "canister_version": lambda: self.state.version,
            "cost_call": lambda _name_size, _size, dst: self._put("cost_call", dst, 0),
            "in_replicated_execution": lambda: int(self.message.mode != "non replicated query"),
            "msg_reject_code": lambda: self.message.reject_code,
            "stable64_size": lambda: self.state.stable_pages,
            "time": lambda: self.state.time,
        }
        self._add_bytes("msg_arg_data", "payload", lambda: self.message.payload)
        self._add_bytes("msg_caller", "id", lambda: self.message.call.caller)
        self._add_bytes("msg_reject_msg", "msg", lambda: self.message.payload)
        self._add_bytes("canister_self", "id", lambda: OWN_ID)

    def _add_bytes(self, name: str, what: str, source: Callable[[], bytes]) -> None:
        """Add two functions that return the size of the bytes and copy them to the heap."""
        self._functions[f"{name}_size"] = lambda: len(source())
        self._functions[f"{name}_copy"] = partial(self._copy, f"ic0.{name}_copy", what, source)

    def host_function(self, name: str, signature: Signature) -> Callable[..., int | None]:
        """Return the Python function for `ic0.name`. It takes unsigned numbers and checks the mode."""
        function = self._functions.get(name) or getattr(self, name, None)
        masks = [(1 << int(ty[1:])) - 1 for ty in signature.params]

        def call(*arguments: int) -> int | None:
            if function is None:
                raise NotProvided(f"ic0.{name}")
            if self.message.mode not in signature.modes:
                raise errors.violation(f'"ic0_{name}" cannot be executed in {self.message.mode} mode')
            self._charge(signature.price)
            return function(*(value & mask for value, mask in zip(arguments, masks, strict=True)))

        return call

    def instructions(self) -> int:
        """Return the instructions of the message so far. They can be more than the limit."""
        return self.limit - self.counter.value(self.store) + self.charged

    def _charge(self, price: int, size: int = 1) -> None:
        """Charge `price` instructions for each of `size` bytes. As in the replica, 2 GiB are always past the limit."""
        self.charged += price * size if size < 1 << 31 else self.limit + 1
        if self.charged > self.limit:
            raise errors.out_of_instructions(self.limit)

    def heap_bytes(self) -> int:
        """Return the size of the heap in bytes."""
        return self.memory.data_len(self.store) if self.memory else 0

    def heap_address(self) -> int:
        """Return the address of the heap in this process, which is valid until the heap grows."""
        return ctypes.addressof(self.memory.data_ptr(self.store).contents) if self.memory else 0

    def _address(self, what: str, start: int, size: int) -> int:
        _check_range(what, start, size, self.heap_bytes())
        return self.heap_address() + start

    def _read(self, what: str, src: int, size: int, price: int = 1) -> bytes:
        """Return bytes of the heap, and charge `price` instructions for each byte."""
        self._charge(price, size)
        address = self._address(what, src, size)
        return ctypes.string_at(address, size) if size else b""

    def _copy(self, name: str, what: str, source: Callable[[], bytes], dst: int, offset: int, size: int) -> None:
        self._charge(1, size)
        address = self._address(f"{name} heap", dst, size)
        data = source()
        _check_range(f"{name} {what}", offset, size, len(data))
        ctypes.memmove(address, data[offset : offset + size], size)

    def _put(self, name: str, dst: int, value: int) -> None:
        ctypes.memmove(self._address(f"ic0_{name}", dst, 16), value.to_bytes(16, "little"), 16)

    # The ic0 functions

    def is_controller(self, src: int, size: int) -> int:
        return int(self._read("ic0.is_controller", src, size) == self.state.controller)

    def msg_reply_data_append(self, src: int, size: int) -> None:
        self._check_answer("msg_reply_data_append", len(self.message.data) + size)
        self.message.data += self._read("msg.reply", src, size, SENT_BYTE_PRICE)

    def msg_reply(self) -> None:
        self._check_answer("msg_reply")
        self.message.answer = bytes(self.message.data)

    def msg_reject(self, src: int, size: int) -> None:
        self._check_answer("msg_reject", size)
        reason = self._read("ic0.msg_reject", src, size, SENT_BYTE_PRICE)
        self.message.answer = Rejected("IC0406", reason.decode(errors="replace"))

    def _check_answer(self, name: str, size: int = 0) -> None:
        if self.message.answer is not None or self.message.call.answer is not None:
            raise errors.violation(f"ic0.{name}: the call is already replied")
        limit = MAX_QUERY_REPLY if self.message.mode == "non replicated query" else MAX_UPDATE_REPLY
        if size > limit:
            raise errors.violation(f"ic0.{name}: application payload size ({size}) cannot be larger than {limit}.")

    def call_new(self, callee: int, callee_size: int, name: int, name_size: int, *callbacks: int) -> None:
        principal = self._read("ic0.call_new callee_src", callee, callee_size)
        method = self._read("ic0.call_new method_name", name, name_size).decode(errors="replace")
        on_reply, on_reject = (callbacks[0], callbacks[1]), (callbacks[2], callbacks[3])
        self.message.new_call = Call(OWN_ID, method, b"", self.message.call, principal, on_reply, on_reject)

    def _call(self, name: str) -> Call:
        if self.message.new_call is None:
            raise errors.violation(f"{name} called when no call is under construction.")
        return self.message.new_call

    def call_on_cleanup(self, fun: int, env: int) -> None:
        self._call("ic0.call_on_cleanup").on_cleanup = (fun, env)

    def call_data_append(self, src: int, size: int) -> None:
        self._call("ic0.call_data_append").payload += self._read("ic0.call_data_append", src, size, SENT_BYTE_PRICE)

    def call_perform(self) -> int:
        self.message.calls.append(self._call("ic0.call_perform"))
        self.message.new_call = None
        return 0

    def stable64_grow(self, pages: int) -> int:
        old = self.state.stable_pages
        if old + pages > MAX_STABLE_PAGES:
            return -1
        self.state.stable_pages += pages
        return old

    def stable64_write(self, offset: int, src: int, size: int) -> None:
        data = self._read("ic0.stable64_write", src, size)
        pages, start, old = self._stable(offset, size)
        new = old[:start] + data + old[start + size :]
        self.state.stable |= {page: new[i * PAGE : (i + 1) * PAGE] for i, page in enumerate(pages)}

    def stable64_read(self, dst: int, offset: int, size: int) -> None:
        self._charge(1, size)
        address = self._address("ic0.stable64_read", dst, size)
        _, start, data = self._stable(offset, size)
        ctypes.memmove(address, data[start : start + size], size)

    def _stable(self, offset: int, size: int) -> tuple[range, int, bytes]:
        """Return the pages of stable memory with a range, the range's start in the first page, and their content."""
        if offset + size > self.state.stable_pages * PAGE:
            raise errors.trapped("stable memory out of bounds")
        pages = range(offset // PAGE, -(-(offset + size) // PAGE))
        return pages, offset % PAGE, b"".join(self.state.stable.get(page, ZERO_PAGE) for page in pages)

    def global_timer_set(self, timestamp: int) -> int:
        previous, self.state.timer = self.state.timer, timestamp
        return previous

    def performance_counter(self, counter: int) -> int:
        before = self.message.call.instructions if counter == 1 else 0
        return before + self.instructions()

    def debug_print(self, src: int, size: int) -> None:
        log(self._read("ic0.debug_print", src, size).decode(errors="replace"))

    def trap(self, src: int, size: int) -> None:
        text = self._read("ic0.trap", src, size).decode(errors="replace")
        raise Trapped("IC0503", f"Canister called `ic0.trap` with message: '{text}'", text)


def _check_range(what: str, start: int, size: int, limit: int) -> None:
    if start + size > limit:
        raise errors.violation(f"{what}: src={start} + length={size} exceeds the slice size={limit}")


def log(text: str) -> None:
    """Print a line of the canister's log to standard error, as a local replica does."""
    print(f"[Canister {CANISTER_ID}] {text}", file=sys.stderr)
