"""Modules: how they are read and checked by the rules of the replica, with the help of `runtime/helper`."""

import subprocess
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import wasmtime

from .errors import NotProvided, invalid
from .system_api import PAGE, system_api

HELPER = Path(__file__).parent / "helper/target/release/canister-helper"
"""Where cargo puts the helper."""

MAX_HEAP_BYTES = {32: 4 << 30, 64: 6 << 30}
"""The most Wasm memory that the Internet Computer gives a canister, in bytes, by word size."""

MAX_MODULE_BYTES = 100 << 20
"""The largest module, decompressed (`WASM_MAX_SIZE` in the replica)."""

_METHODS = ("canister_update", "canister_query", "canister_composite_query")
_RESERVED = {"canister_start", "stable_memory", "stable_bytemap_memory"}
_RESERVED |= {f"canister counter_{what}" for what in ("instructions", "dirty_pages", "accessed_pages")}
_HOOKS = ("init", "pre_upgrade", "post_upgrade", "inspect_message", "heartbeat", "global_timer", "on_low_wasm_memory")


@dataclass(frozen=True)
class Module:
    """A module that the replica would accept, metered and compiled."""

    compiled: wasmtime.Module
    word_bits: int
    imports: frozenset[str]
    exports: frozenset[str]
    functions: frozenset[str]
    """Names of all exported functions, including those that the helper added."""
    prefix: str
    """The beginning of the names of the exports that the helper added."""
    did: str
    """The text of the custom section `candid:service`, or ""."""


def run_helper(helper: Path, *arguments: str, stdin: bytes) -> bytes:
    """Run the helper and return its output. Raise `ValueError` with its reason if it fails."""
    try:
        done = subprocess.run([helper, *arguments], input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        command = "cargo build --release --locked --manifest-path runtime/helper/Cargo.toml"
        raise FileNotFoundError(f"Build the helper first: {command} ({helper} is missing)") from None
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip())
    return done.stdout


def read_module(source: Path | str | bytes | bytearray, helper: Path) -> Module:
    """Decompress, check and compile a module, given as a file or as its bytes, gzipped or not.

    Raises `InvalidModule` with the replica's reason, and `OSError` if the file cannot be read.
    """
    data = Path(source).read_bytes() if isinstance(source, Path | str) else bytes(source)
    problem = ""
    if data.startswith(b"\x1f\x8b\x08"):
        gzip = zlib.decompressobj(wbits=31)
        try:
            data = gzip.decompress(data, MAX_MODULE_BYTES + 1)
        except zlib.error as error:
            problem = f"failed to decode compressed Wasm module: {error}"
        if not gzip.eof or gzip.unused_data:
            problem = problem or "specified uncompressed size does not match extracted size"
    if len(data) > MAX_MODULE_BYTES:
        raise invalid(f"Wasm module size exceeds the maximum allowed size of {MAX_MODULE_BYTES}.")
    if problem or not data.startswith(b"\0asm"):
        raise invalid(f"Failed to decode wasm module: {problem or 'unsupported canister module format'}")
    return _load(data, helper)


@cache
def engine() -> wasmtime.Engine:
    """Return the engine that compiles and runs all modules."""
    config = wasmtime.Config()
    config.memory_reservation = MAX_HEAP_BYTES[64]  # A heap that grows is then never copied.
    config.memory_init_cow = False  # Data would be mapped from files, and snapshots would miss it.
    return wasmtime.Engine(config)


@lru_cache(maxsize=8)
def _load(wasm: bytes, helper: Path) -> Module:
    try:
        output = run_helper(helper, "prepare", str(MAX_HEAP_BYTES[64] // PAGE), stdin=wasm)
        header, did, prepared = output.split(b"\0", 2)
        compiled = wasmtime.Module(engine(), prepared)
    except (ValueError, wasmtime.WasmtimeError) as error:
        if str(error).startswith("not provided: "):
            raise NotProvided(str(error).removeprefix("not provided: ")) from None
        raise invalid(str(error)) from None
    prefix = compiled.exports[-1].name.removesuffix("counter")
    types = {export.name: export.type for export in compiled.exports}
    memory = types.get(f"{prefix}memory")
    word_bits = 64 if isinstance(memory, wasmtime.MemoryType) and memory.is_64 else 32
    signatures = iter(header.decode().splitlines())
    _check_imports(compiled, signatures, word_bits)
    functions = [name for name, ty in types.items() if isinstance(ty, wasmtime.FuncType)]
    exports = frozenset(name for name in types if not name.startswith(prefix))
    for name in exports.intersection(_RESERVED):
        reason = f"Exporting reserved symbol {name} not allowed."
        raise invalid(f"Wasm module has an invalid export section. {reason}")
    _check_exports(zip(functions, signatures, strict=False))
    imports = frozenset(item.name or "" for item in compiled.imports)
    return Module(compiled, word_bits, imports, exports, frozenset(functions), prefix, did.decode())


def _check_imports(compiled: wasmtime.Module, signatures: Iterable[str], word_bits: int) -> None:
    functions = [item for item in compiled.imports if isinstance(item.type, wasmtime.FuncType)]
    section = "Wasm module has an invalid import section."
    for item, signature in zip(functions, signatures, strict=False):
        imported = system_api(word_bits).get(item.name or "")
        if imported is None:
            reason = f"Module imports function '{item.name}' from '{item.module}' that is not exported by the runtime."
            raise invalid(f"{section} {reason}")
        if item.module != "ic0":
            reason = f'Module imports function "{item.name}" from "{item.module}", expected to be imported from one of'
            raise invalid(f'{section} {reason} ["ic0"] instead.')
        _check_signature(item.name or "", signature, imported.params, imported.results)
    # The replica meets imported memories and tables only when it instantiates the module.
    if any(isinstance(item.type, wasmtime.GlobalType) for item in compiled.imports):
        raise invalid(f"{section} Importing a global is not allowed.")


def _check_exports(functions: Iterable[tuple[str, str]]) -> None:
    methods: list[str] = []
    for name, signature in functions:
        kind, _, method = name.partition(" ")
        if kind in _METHODS and name != kind:
            if method in methods:
                reason = "exported multiple times with different call types: update, query, or composite_query."
                raise invalid(f"Duplicate function '{method}' {reason}")
            methods.append(method)
        elif not name.startswith("canister_"):
            continue
        elif name.removeprefix("canister_") not in _HOOKS:
            reason = f"Exporting reserved function '{name}' with \"canister_\" prefix"
            raise invalid(f"Wasm module has an invalid export section. {reason}")
        _check_signature(name, signature, [], [])
    what = "exported functions called `{} <name>`, `{} <name>`, or `{} <name>` is".format(*_METHODS)
    size = sum(len(method.encode()) for method in methods)
    if len(methods) > 1000:
        raise invalid(f"The number of {what} {len(methods)} which exceeds 1000.")
    if size > 20_000:
        raise invalid(f"The sum of `<name>` lengths in {what} {size} which exceeds the allowed limit of 20000.")


def _check_signature(name: str, signature: str, params: list[str], results: list[str]) -> None:
    for what, types, got in zip(("input params", "return type"), (params, results), signature.split("\t"), strict=True):
        expected = f"[{', '.join(types)}]"
        if got != expected:
            reason = f"Expected {what} {expected} for '{name}', got {got}."
            raise invalid(f"Wasm module has an invalid function signature. {reason}")
