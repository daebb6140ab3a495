"""A canister, its messages as transactions, its timers, upgrades and limits."""

import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from . import errors
from .errors import ANONYMOUS, CanisterError, NotProvided, Rejected, Trapped
from .instance import Instance, changed_pages
from .module import HELPER, Module, read_module, run_helper
from .system_api import OWN_ID, PAGE, Call, Callback, Message, State, log

DEFAULT_WASM_MEMORY_LIMIT = 3 << 30
# The most instructions for one message, as in the replica. "install" is for each message of an installation or upgrade.
INSTRUCTION_LIMITS = {"update": 40 * 10**9, "query": 5 * 10**9, "install": 300 * 10**9}
# Instructions for each page of 4 KiB that a message changes in the heap, by word size. Measured on the replica.
CHANGED_PAGE_PRICES = {32: 1_000, 64: 4_000}
START_TIME = 1_767_225_600 * 10**9  # 2026-01-01 00:00 UTC, so that each run is the same.
ROUND = 10**9  # Nanoseconds until a timer that is set to a past time runs again.

_LIMITS = {"init": "install", "pre upgrade": "install", "non replicated query": "query"}
_QUERIES = ("replicated query", "non replicated query")


class Canister:
    """An installed canister. `Canister.install` makes one.

    `caller` is the principal of the calls, as text. `instructions` is the cost of the last message, as in the replica.
    `word_bits` is the size of an address, 32 or 64. `imports` has the names of the imported `ic0` functions, `exports`
    those of all exports. `did` is the interface from the setting or the custom section `candid:service`, or None.
    """

    _instance: Instance | None = None

    def __init__(
        self,
        module: Path | str | bytes,
        arg: str | bytes = "()",
        *,
        wasm_memory_limit: int | str = DEFAULT_WASM_MEMORY_LIMIT,
        wasm_memory_threshold: int | str = 0,
        time: int = START_TIME,
        caller: str = ANONYMOUS,
        instruction_limits: dict[str, int] | None = None,
        did: str = "",
        helper: Path | str = HELPER,
    ) -> None:
        self.caller = caller
        self.instructions = 0
        self._helper = Path(helper)
        self._did = did
        self._limit = parse_size(wasm_memory_limit)
        self._threshold = parse_size(wasm_memory_threshold)
        self._low_memory = False
        self._instruction_limits = INSTRUCTION_LIMITS | (instruction_limits or {})
        self._state = State(time, errors.principal_bytes(caller))
        self._queue: deque[Callable[[], None]] = deque()
        self._start(read_module(module, self._helper), "canister_init", arg)

    @classmethod
    def install(cls, module: Path | str | bytes, arg: str | bytes = "()", **settings) -> Self:
        """Install a module, given as a file or its bytes, into a new canister. README.md lists the settings.

        Raises `InvalidModule` if the replica would refuse the module, `Trapped` if its code traps, `CandidError` for a
        wrong `arg`, `ValueError` for a wrong setting, `OSError` for an unreadable file.
        """
        return cls(module, arg, **settings)

    def __del__(self) -> None:
        self._drop()

    def call(self, method: str, args: str | bytes = "()") -> str | bytes:
        """Call a query or update method. See `query`."""
        return (self.query if f"canister_query {method}" in self.exports else self.update)(method, args)

    def query(self, method: str, args: str | bytes = "()") -> str | bytes:
        """Call a query method and undo its changes to the canister.

        `args` and the result are Candid text, with the types of the interface, or bytes. Raises `Trapped`, `Rejected`,
        `NotProvided` or `CandidError`.
        """
        call = Call(errors.principal_bytes(self.caller), method, self._encode(args, method))
        self._process(Message("non replicated query", call, call.payload), self._find(method, "query"))
        return self._decode(call, args)

    def update(self, method: str, args: str | bytes = "()") -> str | bytes:
        """Call an update method, or a query method in replicated mode, and run its calls and callbacks. See `query`."""
        call = Call(errors.principal_bytes(self.caller), method, self._encode(args, method))
        if "canister_inspect_message" in self._module.functions:
            raise NotProvided("calls of update methods if a canister has canister_inspect_message")
        self._deliver(call)
        self._drain()
        return self._decode(call, args)

    def advance(self, seconds: float) -> None:
        """Move the clock forward, and run `canister_global_timer` each time it becomes due."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"Write a number of seconds, 0 or more: not {seconds}")
        target = self.time + round(seconds * 10**9)
        earliest = 0
        while 0 < self._state.timer and (due := max(self._state.timer, self.time, earliest)) <= target:
            self._state.time, self._state.timer, earliest = due, 0, due + ROUND
            self._run_task("global timer", "canister_global_timer")
            self._drain()
        self._state.time = target

    def upgrade(self, module: Path | str | bytes | None = None, arg: str | bytes = "()") -> None:
        """Upgrade to `module`, or to the same module again. The heap and the timer are lost, stable memory is kept.

        `canister_pre_upgrade` and `canister_post_upgrade` run. Raises the errors of `install`; the canister then does not
        change.
        """
        new = self._module if module is None else read_module(module, self._helper)
        before = self._module, self._state
        try:
            self._hook("pre upgrade", "canister_pre_upgrade")
            self._start(new, "canister_post_upgrade", arg)
        except BaseException:
            self._use(*before)
            raise

    @property
    def heap_bytes(self) -> int:
        """The size of the heap in bytes."""
        return self._state.heap_pages * PAGE

    @property
    def stable_bytes(self) -> int:
        """The size of stable memory in bytes."""
        return self._state.stable_pages * PAGE

    @property
    def time(self) -> int:
        """The clock, in nanoseconds since 1970."""
        return self._state.time

    def _encode(self, args: str | bytes, *method: str) -> bytes:
        return args if isinstance(args, bytes) else self._candid("encode", *method, data=args.encode())

    def _decode(self, call: Call, args: str | bytes) -> str | bytes:
        if not isinstance(call.answer, bytes):
            raise call.answer or NotProvided("a call without an answer")
        if isinstance(args, bytes):
            return call.answer
        return self._candid("decode", call.method, data=call.answer).decode()

    def _candid(self, *command: str, data: bytes) -> bytes:
        return run_helper(self._helper, *command, stdin=f"{self.did or ''}\0".encode() + data)

    # Calls and other messages

    def _find(self, method: str, *kinds: str) -> str:
        """Return the export for a method of the first kind that the canister has, such as "query"."""
        for name in (f"canister_{kind} {method}" for kind in kinds):
            if name in self._module.functions:
                return name
        if f"canister_composite_query {method}" in self._module.functions:
            raise NotProvided(f"composite queries, such as {method}")
        raise Rejected("IC0536", errors.from_canister(f"Canister has no {kinds[0]} method '{method}'."))

    def _deliver(self, call: Call) -> None:
        try:
            if call.callee != OWN_ID:
                raise Rejected("IC0301", f"No route to canister {errors.principal_text(call.callee)}")
            function = self._find(call.method, "update", "query")
        except Rejected as error:
            self._answer(call, error)
        else:
            mode = "update" if function.startswith("canister_update") else "replicated query"
            self._process(Message(mode, call, call.payload), function)

    def _process(self, message: Message, function: str | Callback, cleanup: Callback | None = None) -> None:
        """Run a message of a call, queue the calls that it makes, and answer the call once the answer is known."""
        call = message.call
        failure: CanisterError = Rejected("IC0506", f"Canister {errors.CANISTER_ID} did not reply to the call")
        try:
            self._execute(message, function)
        except Trapped as error:
            failure, message.answer = error, None
            if cleanup:
                with suppress(Trapped):
                    self._execute(Message("cleanup", call, reject_code=message.reject_code), cleanup)
        else:
            call.pending += len(message.calls)
            self._queue.extend(partial(self._deliver, new) for new in message.calls)
        call.instructions += self.instructions
        if call.answer is None and (message.answer is not None or call.pending == 0):
            self._answer(call, failure if message.answer is None else message.answer)

    def _answer(self, call: Call, answer: bytes | CanisterError) -> None:
        call.answer = answer
        if call.parent:
            self._queue.append(partial(self._call_back, call, call.parent, answer))

    def _call_back(self, call: Call, parent: Call, answer: bytes | CanisterError) -> None:
        parent.pending -= 1
        if isinstance(answer, bytes):
            self._process(Message("reply callback", parent, answer), call.on_reply, call.on_cleanup)
        else:
            # The replica adds no code if there is no such canister, or if the canister itself wrote the reason.
            text = answer.reason if answer.code in ("IC0301", "IC0406") else str(answer)
            code = int(answer.code.removeprefix("IC")) // 100
            message = Message("reject callback", parent, text.encode(), code)
            self._process(message, call.on_reject, call.on_cleanup)

    def _drain(self) -> None:
        """Run the queued messages, also those that they queue."""
        try:
            while self._queue:
                self._queue.popleft()()
        finally:
            self._queue.clear()

    def _run_task(self, mode: str, function: str) -> None:
        if function in self._module.functions:
            self._process(Message(mode, Call(b"", answer=b"")), function)

    def _start(self, module: Module, hook: str, arg: str | bytes) -> None:
        """Start a module with an empty heap, run the hook, then its calls and callbacks."""
        self._use(module, replace(self._state, timer=0, version=self._state.version + 1))
        self._instance = Instance(module)
        self._instance.save(self._state)
        self._hook("init", hook, self._encode(arg))
        self._check_memory_limit(self.heap_bytes)
        self._check_low_memory()
        self._drain()

    def _use(self, module: Module, state: State) -> None:
        self._drop()
        self._module, self._state = module, state
        self.did = self._did or module.did or None
        self.word_bits, self.imports, self.exports = module.word_bits, module.imports, module.exports

    def _hook(self, mode: str, function: str, arg: bytes = b"") -> None:
        if function in self._module.functions:
            self._execute(Message(mode, Call(errors.principal_bytes(self.caller)), arg), function)

    def _execute(self, message: Message, function: str | Callback) -> None:
        """Run an entry point. Keep its effects if it returns and is no query; otherwise undo them."""
        instance, state = self._ready(), self._state.fork()
        limit = self._instruction_limits[_LIMITS.get(message.mode, "update")]
        is_limited = message.mode in ("init", "update")
        max_pages = self._limit // PAGE if is_limited and self._limit else 1 << 62
        try:
            try:
                instance.run(function, message, state, limit, max_pages)
            finally:
                self.instructions = min(instance.instructions(), limit)
                if is_limited:
                    self._check_memory_limit(instance.heap_bytes())
            if message.mode not in _QUERIES:
                instance.save(state)
                self.instructions += CHANGED_PAGE_PRICES[self.word_bits] * changed_pages(self._state, state)
                if self.instructions > limit:
                    raise errors.out_of_instructions(limit)
                self._state = state
        except BaseException as error:
            self._drop()
            if isinstance(error, Trapped):
                log(error.log)
            raise
        if message.mode in _QUERIES:
            self._drop()
        if message.mode not in _LIMITS:
            self._state.version += 1
            self._check_low_memory()

    def _check_memory_limit(self, heap_bytes: int) -> None:
        """Raise the replica's error if the heap is larger than `wasm_memory_limit`."""
        if 0 < self._limit < heap_bytes:
            reason = f"Canister exceeded its current Wasm memory limit of {self._limit} bytes."
            raise Trapped("IC0539", f"{reason} The peak Wasm memory usage was {heap_bytes} bytes.") from None

    def _check_low_memory(self) -> None:
        """Run `canister_on_low_wasm_memory` next if less than the threshold is left of the memory limit.

        The hook runs again only after enough was left. As in the replica, this hook treats a limit of 0 as 0 bytes.
        """
        low = self._limit < self.heap_bytes + self._threshold
        if low and not self._low_memory:
            self._queue.appendleft(partial(self._run_task, "on low Wasm memory", "canister_on_low_wasm_memory"))
        self._low_memory = low

    def _ready(self) -> Instance:
        """Return an instance with the saved state."""
        if self._instance is None:
            self._instance = Instance(self._module)
            self._instance.restore(self._state)
        return self._instance

    def _drop(self) -> None:
        if self._instance:
            self._instance.store.close()
            self._instance.state = State(0, b"")  # The instance is in a reference cycle, and would keep the whole heap.
            self._instance = None


def parse_size(size: int | str) -> int:
    """Return the bytes of a number or of a text such as "6 GiB", in the forms that dfx accepts for `wasm_memory_limit`.

    Raises `ValueError` for other text, and for more than 2^48, the highest limit that the Internet Computer accepts.
    """
    match = re.fullmatch(r"([0-9]+)(?: *(?:([kmgtpezy])(i?))?b)?", str(size), re.IGNORECASE)
    if not match:
        raise ValueError(f"Write bytes, or for example 6 GiB: {size!r} is not a size")
    number, prefix, binary = match.groups()
    result = int(number) * (1024 if binary else 1000) ** " kmgtpezy".index((prefix or " ").lower())
    if result > 1 << 48:
        raise ValueError(f"Write at most 2^48 bytes, the highest wasm_memory_limit: {size} is more")
    return result
