"""The System API: the `ic0` functions that a canister may import, and what they do where there is one canister.

Signatures and modes are those of "Overview of imports" in the IC interface specification, checked against the crate
`ic0` 1.2.0; the sentences of errors are those of the replica (rs/interfaces/src/execution_environment/errors.rs and
rs/embedders/src/wasmtime_embedder/system_api.rs).
"""

import base64
import ctypes
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import wasmtime

MODES = {
    "I": "init",
    "G": "pre upgrade",
    "U": "update",
    "RQ": "replicated query",
    "NRQ": "non replicated query",
    "CQ": "composite query",
    "Ry": "reply callback",
    "Rt": "reject callback",
    "C": "cleanup",
    "s": "start",
    "F": "inspect message",
    "T": "global timer",
}
"""The specification's letters for the modes that occur here, and the replica's names for them."""

_ANY = "I G U RQ NRQ TQ CQ Ry Rt CRy CRt C CC F T"
_RESPOND = "U RQ NRQ TQ CQ Ry Rt CRy CRt"
_CALL = "U CQ Ry Rt CRy CRt T"
_INFO = "U RQ NRQ CQ Ry Rt CRy CRt C CC F"
_TABLE = f"""
msg_arg_data_size                () I                         : I U RQ NRQ TQ CQ Ry CRy F
msg_arg_data_copy                (I I I)                      : I U RQ NRQ TQ CQ Ry CRy F
msg_caller_size                  () I                         : {_ANY}
msg_caller_copy                  (I I I)                      : {_ANY}
msg_caller_info_data_size        () I                         : {_INFO}
msg_caller_info_data_copy        (I I I)                      : {_INFO}
msg_caller_info_signer_size      () I                         : {_INFO}
msg_caller_info_signer_copy      (I I I)                      : {_INFO}
msg_reject_code                  () i32                       : Ry Rt CRy CRt C
msg_reject_msg_size              () I                         : Rt CRt
msg_reject_msg_copy              (I I I)                      : Rt CRt
msg_deadline                     () i64                       : U RQ NRQ CQ Ry Rt CRy CRt
msg_reply_data_append            (I I)                        : {_RESPOND}
msg_reply                        ()                           : {_RESPOND}
msg_reject                       (I I)                        : {_RESPOND}
msg_cycles_available128          (I)                          : U RQ Rt Ry
msg_cycles_refunded128           (I)                          : Rt Ry
msg_cycles_accept128             (i64 i64 I)                  : U RQ Rt Ry
cycles_burn128                   (i64 i64 I)                  : I G U RQ Ry Rt C T
canister_self_size               () I                         : {_ANY}
canister_self_copy               (I I I)                      : {_ANY}
canister_cycle_balance128        (I)                          : {_ANY}
canister_liquid_cycle_balance128 (I)                          : {_ANY}
canister_status                  () i32                       : {_ANY}
canister_version                 () i64                       : {_ANY}
subnet_self_size                 () I                         : {_ANY}
subnet_self_copy                 (I I I)                      : {_ANY}
subnet_self_node_count           () i32                       : {_ANY}
msg_method_name_size             () I                         : F
msg_method_name_copy             (I I I)                      : F
accept_message                   ()                           : F
call_new                         (I I I I I I I I)            : {_CALL}
call_on_cleanup                  (I I)                        : {_CALL}
call_data_append                 (I I)                        : {_CALL}
call_with_best_effort_response   (i32)                        : {_CALL}
call_cycles_add128               (i64 i64)                    : U Ry Rt T
call_perform                     () i32                       : {_CALL}
stable64_size                    () i64                       : {_ANY} s
stable64_grow                    (i64) i64                    : {_ANY} s
stable64_write                   (i64 i64 i64)                : {_ANY} s
stable64_read                    (i64 i64 i64)                : {_ANY} s
root_key_size                    () I                         : I G U RQ Ry Rt C T
root_key_copy                    (I I I)                      : I G U RQ Ry Rt C T
certified_data_set               (I I)                        : I G U Ry Rt T
data_certificate_present         () i32                       : {_ANY}
data_certificate_size            () I                         : NRQ CQ
data_certificate_copy            (I I I)                      : NRQ CQ
time                             () i64                       : {_ANY}
global_timer_set                 (i64) i64                    : I G U Ry Rt C T
performance_counter              (i32) i64                    : {_ANY} s
is_controller                    (I I) i32                    : {_ANY} s
in_replicated_execution          () i32                       : {_ANY} s
cost_call                        (i64 i64 I)                  : {_ANY} s
cost_create_canister             (I)                          : {_ANY} s
cost_http_request                (i64 i64 I)                  : {_ANY} s
cost_http_request_v2             (I I I)                      : {_ANY} s
cost_sign_with_ecdsa             (I I i32 I) i32              : {_ANY} s
cost_sign_with_schnorr           (I I i32 I) i32              : {_ANY} s
cost_vetkd_derive_key            (I I i32 I) i32              : {_ANY} s
env_var_count                    () I                         : {_ANY}
env_var_name_size                (I) I                        : {_ANY}
env_var_name_copy                (I I I I)                    : {_ANY}
env_var_name_exists              (I I) i32                    : {_ANY}
env_var_value_size               (I I) I                      : {_ANY}
env_var_value_copy               (I I I I I)                  : {_ANY}
debug_print                      (I I)                        : {_ANY} s
trap                             (I I)                        : {_ANY} s
"""
_TABLE_32 = f"""
msg_cycles_available             () i64                       : U RQ Rt Ry
msg_cycles_refunded              () i64                       : Rt Ry
msg_cycles_accept                (i64) i64                    : U RQ Rt Ry
canister_cycle_balance           () i64                       : {_ANY}
call_cycles_add                  (i64)                        : U Ry Rt T
stable_size                      () i32                       : {_ANY} s
stable_grow                      (i32) i32                    : {_ANY} s
stable_write                     (i32 i32 i32)                : {_ANY} s
stable_read                      (i32 i32 i32)                : {_ANY} s
"""

PAGE = 65536
"""Bytes in a page of Wasm or stable memory."""

MAX_STABLE_PAGES = (500 << 30) // PAGE
"""The replica's `MAX_STABLE_MEMORY_IN_BYTES`, 500 GiB, in pages."""

MAX_STABLE_PAGES_32 = (4 << 30) // PAGE
MAX_SYSTEM_CALLS = 10_000_000
"""Calls of the System API in one message. The replica allows more, which would take this runtime minutes to hours."""

CALL_PRICE = 500
"""Instructions for a call of an `ic0` function that `CALL_PRICES` does not name; each byte that it copies is one more."""

CALL_PRICES = {
    "call_new": 1_500,
    "call_perform": 5_000,
    "is_controller": 1_000,
    "performance_counter": 200,
    "debug_print": 100,
    **dict.fromkeys(("stable_size", "stable_read", "stable_write"), 20),
    **dict.fromkeys(("stable64_size", "stable64_read", "stable64_write"), 20),
}
"""Instructions for a call, by name (rs/embedders/src/wasmtime_embedder/system_api_complexity.rs in the replica)."""

SENT_BYTE_PRICE = 50
"""Instructions for each byte of a reply, a reject message or a call's argument (`BYTE_TRANSMISSION_COST_FACTOR` there)."""


MAX_REPLY_BYTES = {"RQ": 2 << 20, "NRQ": 3 << 20, "CQ": 3 << 20}
"""Largest reply in bytes by mode; 2 MiB in the modes not named (the replica's rs/limits)."""

_ZERO_PAGE = bytes(PAGE)


@dataclass(frozen=True)
class Signature:
    """An `ic0` function for one word size: its types ("i32", "i64"), and the letters of the modes that may call it."""

    params: tuple[str, ...]
    results: tuple[str, ...]
    modes: frozenset[str]


def system_api(word_bits: int) -> dict[str, Signature]:
    """Every `ic0` function by name, for a module whose memory has 32-bit or 64-bit addresses."""
    table = _TABLE + (_TABLE_32 if word_bits == 32 else "")
    return dict(_signature(row, f"i{word_bits}") for row in table.splitlines() if row)


def _signature(row: str, word: str) -> tuple[str, Signature]:
    types, modes = row.split(":")
    name, types = types.split("(")
    params, results = ([word if ty == "I" else ty for ty in part.split()] for part in types.split(")"))
    return name.strip(), Signature(tuple(params), tuple(results), frozenset(modes.split()))


class CanisterError(Exception):
    """What the replica answers instead of a reply: its error code, such as "IC0503", and its sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class InvalidModule(CanisterError):
    """The module was refused at installation or upgrade."""


class Trapped(CanisterError):
    """A message failed while it ran, and its effects were undone."""


class Rejected(CanisterError):
    """The canister rejected the call or never answered it, or the method does not exist."""


class NotProvided(CanisterError):
    """The canister needs something that this runtime lacks, so that no outcome would be right."""

    def __init__(self, what: str) -> None:
        super().__init__("not provided by this runtime", what)


def trapped(cause: str) -> Trapped:
    """The replica's error for a Wasm trap, such as "unreachable"."""
    return Trapped("IC0502", f"Canister trapped: {cause}")


def violation(reason: str) -> Trapped:
    """The replica's error for a wrong use of the System API."""
    return Trapped("IC0504", f"Canister violated contract: {reason}")


def out_of_instructions(limit: int) -> Trapped:
    """The replica's error for a message that takes more than `limit` instructions."""
    return Trapped("IC0522", f"Canister exceeded the limit of {limit} instructions for single message execution.")


def principal_text(principal: bytes) -> str:
    """The textual form of a principal ("Textual representation of principals" in the specification)."""
    checked = zlib.crc32(principal).to_bytes(4, "big") + principal
    text = base64.b32encode(checked).decode().rstrip("=").lower()
    return "-".join(text[i : i + 5] for i in range(0, len(text), 5))


def principal_bytes(text: str) -> bytes:
    """The inverse of `principal_text`. Raises `ValueError` for anything that is not a principal's canonical text."""
    letters = text.replace("-", "").upper()
    try:
        principal = base64.b32decode(letters + "=" * (-len(letters) % 8))[4:]
    except ValueError:
        principal = bytes(30)
    if len(principal) > 29 or principal_text(principal) != text:
        raise ValueError(f"not a principal: {text!r}")
    return principal


@dataclass
class State:
    """The canister's state outside its Wasm instance. Times in nanoseconds since 1970; a timer of 0 is not set."""

    cycles: int
    version: int = 0
    timer: int = 0
    certified_data: bytes = b""
    stable_pages: int = 0
    stable: dict[int, bytes] = field(default_factory=dict)
    """Pages of stable memory by number; a page that is missing is all zeros."""

    def fork(self) -> "State":
        """A copy whose changes do not show here."""
        return replace(self, stable=dict(self.stable))


@dataclass
class Call:
    """A call that the canister makes. Callbacks are (table index, environment); times in nanoseconds."""

    callee: bytes
    method: str
    on_reply: tuple[int, int]
    on_reject: tuple[int, int]
    on_cleanup: tuple[int, int] | None = None
    payload: bytes = b""
    cycles: int = 0
    deadline: int = 0


@dataclass
class CallContext:
    """One call or system task in progress, over all its messages ("Call contexts" in the specification)."""

    caller: bytes
    origin: Callable[["CallContext"], None] | None = None
    """What to do with the answer when it is there."""
    cycles: int = 0
    deadline: int = 0
    answer: bytes | CanisterError | None = None
    pending: int = 0
    """Calls made for this one that have no answer yet."""
    instructions: int = 0


@dataclass
class Message:
    """One execution of one entry point: what it is given, and what it asks for."""

    mode: str
    context: CallContext
    arg: bytes = b""
    method: str = ""
    mode_name: str = ""
    """The replica's name for the mode, where it is not that in `MODES`."""
    rejection: CanisterError | None = None
    refund: int = 0
    data: bytearray = field(default_factory=bytearray)
    answer: bytes | CanisterError | None = None
    accepted: bool = False
    accepted_cycles: int = 0
    call: Call | None = None
    calls: list[Call] = field(default_factory=list)


@dataclass
class World:
    """What all messages see alike. `time` is in nanoseconds since 1970."""

    canister: bytes
    controllers: set[bytes]
    time: int


class SystemApi:
    """The host side of one Wasm instance. `store`, `memory` and `counter` are set with it, the rest for each message."""

    store: wasmtime.Store
    memory: wasmtime.Memory | None = None
    counter: wasmtime.Global
    """What is left of the limit, without what was charged for calls of the System API."""
    charged: int
    """Instructions charged for calls of the System API. They are kept here, as setting a global from Python is slow."""
    calls: int
    """Calls of the System API in the message."""
    message: Message
    state: State
    instruction_limit: int

    def __init__(self, world: World) -> None:
        self.world = world

    def host_function(self, name: str, signature: Signature) -> Callable[..., int | None]:
        """The Python function to link as `ic0.name`. It takes numbers as unsigned and checks the mode."""
        function = getattr(self, name, None)
        price = CALL_PRICES.get(name, CALL_PRICE)
        masks = [(1 << int(ty[1:])) - 1 for ty in signature.params]

        def call(*arguments: int) -> int | None:
            if self.message.mode not in signature.modes:
                mode = self.message.mode_name or MODES[self.message.mode]
                raise violation(f'"ic0_{name}" cannot be executed in {mode} mode')
            self.calls += 1
            if self.calls > MAX_SYSTEM_CALLS:
                raise NotProvided(f"a message that calls the System API more than {MAX_SYSTEM_CALLS} times")
            self._charge(price)
            if function is None:
                raise NotProvided(f"ic0.{name}")
            return function(*(value & mask for value, mask in zip(arguments, masks, strict=True)))

        return call

    # Instructions

    def instructions(self) -> int:
        """What the message took so far: more than its limit where it wanted more."""
        return self.instruction_limit - self.counter.value(self.store) + self.charged

    def _charge(self, instructions: int) -> None:
        self.charged += instructions
        if self.charged > self.instruction_limit:
            raise out_of_instructions(self.instruction_limit)

    # Memory

    def heap_bytes(self) -> int:
        return self.memory.data_len(self.store) if self.memory else 0

    def heap_address(self) -> int:
        """Where the memory is in this process, until it next grows."""
        return ctypes.addressof(self.memory.data_ptr(self.store).contents) if self.memory else 0

    def _address(self, what: str, start: int, size: int) -> int:
        check_range(what, start, size, self.heap_bytes())
        return self.heap_address() + start

    def read(self, what: str, src: int, size: int, price: int = 1) -> bytes:
        """Bytes of the heap, for which the message pays `price` instructions each."""
        address = self._address(what, src, size)
        self._charge(price * size)
        return bytes((ctypes.c_ubyte * size).from_address(address)) if size else b""

    def _copy(self, name: str, what: str, source: bytes, dst: int, offset: int, size: int) -> None:
        address = self._address(f"ic0.{name} heap", dst, size)
        check_range(f"ic0.{name} {what}", offset, size, len(source))
        self._charge(size)
        ctypes.memmove(address, source[offset : offset + size], size)

    def _put128(self, name: str, dst: int, value: int) -> None:
        ctypes.memmove(self._address(f"ic0_{name}", dst, 16), value.to_bytes(16, "little"), 16)

    # Argument and caller

    def msg_arg_data_size(self) -> int:
        return len(self.message.arg)

    def msg_arg_data_copy(self, dst: int, offset: int, size: int) -> None:
        self._copy("msg_arg_data_copy", "payload", self.message.arg, dst, offset, size)

    def msg_caller_size(self) -> int:
        return len(self.message.context.caller)

    def msg_caller_copy(self, dst: int, offset: int, size: int) -> None:
        self._copy("msg_caller_copy", "id", self.message.context.caller, dst, offset, size)

    # Empty unless a canister signed for the caller, which nothing does here.
    def msg_caller_info_data_size(self) -> int:
        return 0

    def msg_caller_info_data_copy(self, dst: int, offset: int, size: int) -> None:
        self._copy("msg_caller_info_data_copy", "data", b"", dst, offset, size)

    def msg_caller_info_signer_size(self) -> int:
        return 0

    def msg_caller_info_signer_copy(self, dst: int, offset: int, size: int) -> None:
        self._copy("msg_caller_info_signer_copy", "signer", b"", dst, offset, size)

    def msg_deadline(self) -> int:
        return self.message.context.deadline

    def msg_reject_code(self) -> int:
        return reject_code(self.message.rejection) if self.message.rejection else 0

    def msg_reject_msg_size(self) -> int:
        return len(self._rejection())

    def msg_reject_msg_copy(self, dst: int, offset: int, size: int) -> None:
        self._copy("msg_reject_msg_copy", "msg", self._rejection(), dst, offset, size)

    def _rejection(self) -> bytes:
        error = self.message.rejection
        from_canister = isinstance(error, Trapped) or error.code == "IC0536"
        prefix = f"Error from Canister {principal_text(self.world.canister)}: " if from_canister else ""
        return f"{prefix}{error.reason}".encode()

    # Answer

    def msg_reply_data_append(self, src: int, size: int) -> None:
        self._must_be_unanswered("msg_reply_data_append", ".")
        self._check_answer_size("msg_reply_data_append", len(self.message.data) + size)
        self.message.data += self.read("msg.reply", src, size, SENT_BYTE_PRICE)

    def msg_reply(self) -> None:
        self._must_be_unanswered("msg_reply")
        self.message.answer = bytes(self.message.data)

    def msg_reject(self, src: int, size: int) -> None:
        self._must_be_unanswered("msg_reject")
        self._check_answer_size("msg_reject", size)
        try:
            reason = self.read("ic0.msg_reject", src, size, SENT_BYTE_PRICE).decode()
        except UnicodeDecodeError:
            raise violation("ic0.msg_reject: invalid UTF-8 string provided") from None
        self.message.answer = Rejected("IC0406", reason)

    def _must_be_unanswered(self, name: str, end: str = "") -> None:
        if self.message.answer is not None or self.message.context.answer is not None:
            raise violation(f"ic0.{name}: the call is already replied{end}")

    def _check_answer_size(self, name: str, size: int) -> None:
        limit = MAX_REPLY_BYTES.get(self.message.mode, 2 << 20)
        if size > limit:
            raise violation(f"ic0.{name}: application payload size ({size}) cannot be larger than {limit}.")

    # Inspection of ingress messages

    def msg_method_name_size(self) -> int:
        return len(self.message.method.encode())

    def msg_method_name_copy(self, dst: int, offset: int, size: int) -> None:
        self._copy("msg_method_name_copy", "payload", self.message.method.encode(), dst, offset, size)

    def accept_message(self) -> None:
        if self.message.accepted:
            raise violation("ic0.accept_message: the function was already called.")
        self.message.accepted = True

    # The canister itself

    def canister_self_size(self) -> int:
        return len(self.world.canister)

    def canister_self_copy(self, dst: int, offset: int, size: int) -> None:
        self._copy("canister_self_copy", "id", self.world.canister, dst, offset, size)

    def canister_status(self) -> int:
        return 1  # running

    def canister_version(self) -> int:
        return self.state.version

    def is_controller(self, src: int, size: int) -> int:
        principal = self.read("ic0.is_controller", src, size)
        if size > 29:
            raise Trapped("IC0504", "Canister provided invalid principal id")
        return int(principal in self.world.controllers)

    def in_replicated_execution(self) -> int:
        return int(self.message.mode not in ("NRQ", "CQ", "F"))

    # Cycles

    def canister_cycle_balance128(self, dst: int) -> None:
        self._put128("canister_cycle_balance128", dst, self.state.cycles)

    def canister_liquid_cycle_balance128(self, dst: int) -> None:
        self._put128("canister_liquid_cycle_balance128", dst, self.state.cycles)

    def canister_cycle_balance(self) -> int:
        return fits64(self.state.cycles)

    def _available(self) -> int:
        return self.message.context.cycles - self.message.accepted_cycles

    def msg_cycles_available128(self, dst: int) -> None:
        self._put128("msg_cycles_available128", dst, self._available())

    def msg_cycles_available(self) -> int:
        return fits64(self._available())

    def msg_cycles_refunded128(self, dst: int) -> None:
        self._put128("msg_cycles_refunded128", dst, self.message.refund)

    def msg_cycles_refunded(self) -> int:
        return fits64(self.message.refund)

    def msg_cycles_accept(self, max_amount: int) -> int:
        amount = min(max_amount, self._available())
        self.message.accepted_cycles += amount
        self.state.cycles += amount
        return amount

    def msg_cycles_accept128(self, high: int, low: int, dst: int) -> None:
        self._put128("msg_cycles_accept128", dst, self.msg_cycles_accept(high << 64 | low))

    def cycles_burn128(self, high: int, low: int, dst: int) -> None:
        amount = min(high << 64 | low, self.state.cycles)
        self.state.cycles -= amount
        self._put128("cycles_burn128", dst, amount)

    # Calls

    def call_new(
        self,
        callee_src: int,
        callee_size: int,
        name_src: int,
        name_size: int,
        reply_fun: int,
        reply_env: int,
        reject_fun: int,
        reject_env: int,
    ) -> None:
        if self.message.mode == "CQ":
            raise NotProvided("calls from a composite query")
        self.give_up_call()
        callee = self.read("ic0.call_new callee_src", callee_src, callee_size)
        name = self.read("ic0.call_new method_name", name_src, name_size)
        if callee_size > 29:
            raise Trapped("IC0504", "Canister provided invalid principal id")
        try:
            method = name.decode()
        except UnicodeDecodeError as error:
            raise violation(f"ic0.call_new: {error}") from None
        self.message.call = Call(callee, method, (reply_fun, reply_env), (reject_fun, reject_env))

    def give_up_call(self) -> None:
        if self.message.call:
            self.state.cycles += self.message.call.cycles
            self.message.call = None

    def _call(self, name: str) -> Call:
        if self.message.call is None:
            raise violation(f"{name} called when no call is under construction.")
        return self.message.call

    def call_on_cleanup(self, fun: int, env: int) -> None:
        call = self._call("ic0.call_on_cleanup")
        if call.on_cleanup:
            raise violation(
                "ic0.call_on_cleanup can be called at most once between `ic0.call_new` and `ic0.call_perform`"
            )
        call.on_cleanup = (fun, env)

    def call_data_append(self, src: int, size: int) -> None:
        call = self._call("ic0.call_data_append")
        if len(call.payload) + size > 2 << 20:
            raise violation(
                f"ic0.call_data_append: payload size ({len(call.payload) + size}) cannot be larger than {2 << 20}"
            )
        call.payload += self.read("ic0.call_data_append", src, size, SENT_BYTE_PRICE)

    def call_with_best_effort_response(self, timeout_seconds: int) -> None:
        call = self._call("ic0.call_with_best_effort_response")
        if call.deadline:
            raise violation("ic0_call_with_best_effort_response failed because a timeout is already set.")
        call.deadline = self.world.time + min(timeout_seconds, 300) * 10**9

    def call_cycles_add(self, amount: int) -> None:
        call = self._call("ic0_call_cycles_add128")
        if amount > self.state.cycles:
            raise Trapped("IC0504", f"Canister {principal_text(self.world.canister)} is out of cycles")
        self.state.cycles -= amount
        call.cycles += amount

    def call_cycles_add128(self, high: int, low: int) -> None:
        self.call_cycles_add(high << 64 | low)

    def call_perform(self) -> int:
        self.message.calls.append(self._call("ic0.call_perform"))
        self.message.call = None
        return 0

    def cost_call(self, method_name_size: int, payload_size: int, dst: int) -> None:
        self._put128("cost_call", dst, 0)  # Calls are free here.

    # Stable memory

    def stable64_size(self) -> int:
        return self.state.stable_pages

    def stable64_grow(self, pages: int) -> int:
        return self._stable_grow(pages, MAX_STABLE_PAGES)

    def stable64_write(self, offset: int, src: int, size: int) -> None:
        self._check_stable(offset, size)
        data = self.read("ic0.stable64_write", src, size)
        for page, start, end, done in _pieces(offset, size):
            old = self.state.stable.get(page, _ZERO_PAGE)
            self.state.stable[page] = old[:start] + data[done : done + end - start] + old[end:]

    def stable64_read(self, dst: int, offset: int, size: int) -> None:
        self._check_stable(offset, size)
        address = self._address("ic0.stable64_read", dst, size)
        self._charge(size)
        for page, start, end, done in _pieces(offset, size):
            data = self.state.stable.get(page, _ZERO_PAGE)[start:end]
            ctypes.memmove(address + done, data, end - start)

    def stable_size(self) -> int:
        self._check_stable_32()
        return self.state.stable_pages

    def stable_grow(self, pages: int) -> int:
        self._check_stable_32()
        return self._stable_grow(pages, MAX_STABLE_PAGES_32)

    def stable_write(self, offset: int, src: int, size: int) -> None:
        self._check_stable_32()
        self.stable64_write(offset, src, size)

    def stable_read(self, dst: int, offset: int, size: int) -> None:
        self._check_stable_32()
        self.stable64_read(dst, offset, size)

    def _stable_grow(self, pages: int, limit: int) -> int:
        old = self.state.stable_pages
        if old + pages > limit:
            return -1
        self.state.stable_pages += pages
        return old

    def _check_stable(self, offset: int, size: int) -> None:
        if offset + size > self.state.stable_pages * PAGE:
            raise trapped("stable memory out of bounds")

    def _check_stable_32(self) -> None:
        if self.state.stable_pages > MAX_STABLE_PAGES_32:
            raise trapped("32 bit stable memory api used on a memory larger than 4GB")

    # Certified data: it is kept, but nobody here signs certificates.

    def certified_data_set(self, src: int, size: int) -> None:
        if size > 32:
            raise violation(
                "ic0_certified_data_set failed because the passed data must be no larger than 32 bytes. "
                f"Found {size} bytes."
            )
        self.state.certified_data = self.read("ic0_certified_data_set", src, size)

    def data_certificate_present(self) -> int:
        return 0

    # Time and instructions

    def time(self) -> int:
        return self.world.time

    def global_timer_set(self, timestamp: int) -> int:
        previous, self.state.timer = self.state.timer, timestamp
        return previous

    def performance_counter(self, counter: int) -> int:
        if counter > 1:
            raise violation(f"Error getting performance counter type {counter}")
        before = self.message.context.instructions if counter == 1 else 0
        return before + self.instructions()

    # Environment variables: there are none.

    def env_var_count(self) -> int:
        return 0

    def env_var_name_size(self, index: int) -> int:
        raise Trapped(
            "IC0504",
            f"Environment variable index {index} is out of bounds. The number of environment variables is 0.",
        )

    def env_var_name_copy(self, index: int, dst: int, offset: int, size: int) -> None:
        self.env_var_name_size(index)

    def env_var_name_exists(self, name_src: int, name_size: int) -> int:
        self.read("ic0.env_var_name_exists heap", name_src, name_size, 0)
        return 0

    def env_var_value_size(self, name_src: int, name_size: int) -> int:
        name = self.read("ic0.env_var_value_size heap", name_src, name_size, 0).decode(errors="replace")
        raise Trapped("IC0504", f"Environment variable {name} not found.")

    def env_var_value_copy(self, name_src: int, name_size: int, dst: int, offset: int, size: int) -> None:
        self.env_var_value_size(name_src, name_size)

    # Debugging

    def debug_print(self, src: int, size: int) -> None:
        log(self.world, self._text(src, size, "(debug message out of memory bounds)"))

    def trap(self, src: int, size: int) -> None:
        text = self._text(src, size, "(trap message out of memory bounds)")
        raise Trapped("IC0503", f"Canister called `ic0.trap` with message: '{text}'")

    def _text(self, src: int, size: int, otherwise: str) -> str:
        try:
            return self.read("", src, min(size, 32 << 10)).decode(errors="replace")
        except Trapped:
            return otherwise


def check_range(what: str, start: int, size: int, limit: int) -> None:
    """Raise the replica's error if `start` + `size` passes `limit`, in bytes."""
    if start + size > limit:
        raise violation(f"{what}: src={start} + length={size} exceeds the slice size={limit}")


def fits64(cycles: int) -> int:
    """`cycles` for a 64-bit function, which traps where the amount needs more."""
    if cycles >= 1 << 64:
        raise trapped("cycles amount exceeds 64-bit representation")
    return cycles


def reject_code(error: CanisterError) -> int:
    """The reject code of an error: the hundreds of its number ("Reject codes" in the specification)."""
    return int(error.code.removeprefix("IC")) // 100


def log(world: World, text: str) -> None:
    """Write one line to standard error, as a local replica does with the canister's log."""
    print(f"[Canister {principal_text(world.canister)}] {text}", file=sys.stderr)


def _pieces(offset: int, size: int):
    """Cut `size` bytes at `offset` at page borders: (page, start and end in the page, bytes before this piece)."""
    done = 0
    while done < size:
        page, start = divmod(offset + done, PAGE)
        end = min(PAGE, start + size - done)
        yield page, start, end, done
        done += end - start
