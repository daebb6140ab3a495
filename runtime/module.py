"""Read modules and check them by the rules of the replica, with the help of `runtime/helper`."""

import gzip
import subprocess
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import wasmtime

from .errors import CandidError, NotProvided, invalid
from .system_api import PAGE, system_api

HELPER = Path(__file__).parent / "helper/target/release/canister-helper"
MAX_HEAP_BYTES = {32: 4 << 30, 64: 6 << 30}  # By word size, in November 2026.
PREFIX = "runtime "  # The start of the names of exports that the helper adds.

_METHODS = ("canister_update", "canister_query", "canister_composite_query")
_HOOKS = ("init", "pre_upgrade", "post_upgrade", "inspect_message", "heartbeat", "global_timer", "on_low_wasm_memory")
_RESERVED = {"canister_start", "stable_memory", "stable_bytemap_memory"}
_RESERVED |= {f"canister counter_{what}" for what in ("instructions", "dirty_pages", "accessed_pages")}


@dataclass(frozen=True)
class Module:
    """A compiled module that counts its instructions. `did` is its interface as Candid text, or ""."""

    compiled: wasmtime.Module
    word_bits: int
    imports: frozenset[str]
    exports: frozenset[str]
    functions: frozenset[str]
    did: str


def run_helper(helper: Path, *arguments: str, stdin: bytes) -> bytes:
    """Run the helper and return its output. Raise `CandidError` with the helper's reason if it fails."""
    try:
        done = subprocess.run([helper, *arguments], input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        command = "cargo build --release --locked --manifest-path runtime/helper/Cargo.toml"
        raise FileNotFoundError(f"Build the helper first: {command} ({helper} is missing)") from None
    if done.returncode:
        raise CandidError(done.stderr.decode(errors="replace").strip())
    return done.stdout


def read_module(source: Path | str | bytes | bytearray, helper: Path) -> Module:
    """Decompress, check and compile a module, given as a file or as its bytes, gzipped or not.

    Raises `InvalidModule` with the replica's reason, and `OSError` if the file cannot be read.
    """
    data = Path(source).read_bytes() if isinstance(source, Path | str) else bytes(source)
    if data.startswith(b"\x1f\x8b\x08"):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise invalid(f"Failed to decode wasm module: failed to decode compressed Wasm module: {error}") from None
    if not data.startswith(b"\0asm"):
        raise invalid("Failed to decode wasm module: unsupported canister module format")
    return _load(data, helper)


@cache
def engine() -> wasmtime.Engine:
    """Return the engine that compiles and runs all modules."""
    config = wasmtime.Config()
    config.memory_reservation = MAX_HEAP_BYTES[64]  # With room for the largest heap, growth never copies it.
    config.memory_init_cow = False  # Otherwise the data is mapped from files, and `_touched_pages` misses it.
    return wasmtime.Engine(config)


@lru_cache(maxsize=8)
def _load(wasm: bytes, helper: Path) -> Module:
    try:
        signatures, did, prepared = run_helper(helper, "prepare", stdin=wasm).split(b"\0", 2)
        compiled = wasmtime.Module(engine(), prepared)
    except (CandidError, wasmtime.WasmtimeError) as error:
        if str(error).startswith("not provided: "):
            raise NotProvided(str(error).removeprefix("not provided: ")) from None
        raise invalid(str(error)) from None
    types = {export.name: export.type for export in compiled.exports}
    memory = types.get(f"{PREFIX}memory")
    word_bits = 64 if isinstance(memory, wasmtime.MemoryType) and memory.is_64 else 32
    allowed = MAX_HEAP_BYTES[word_bits] // PAGE
    if isinstance(memory, wasmtime.MemoryType) and memory.limits.min > allowed:
        size = f"an initial Wasm{word_bits} heap memory size of {memory.limits.min} pages"
        raise invalid(f"Wasm module declares {size} which exceeds the maximum allowed size of {allowed} pages.")
    functions = [name for name, ty in types.items() if isinstance(ty, wasmtime.FuncType)]
    exports = frozenset(name for name in types if not name.startswith(PREFIX))
    # wasmtime for Python cannot read all types, so the helper prints them: first those of imports, then of exports.
    lines = iter(signatures.decode().splitlines())
    _check_imports(compiled, lines, word_bits)
    for name in exports & _RESERVED:
        raise invalid(f"Wasm module has an invalid export section. Exporting reserved symbol {name} not allowed.")
    _check_exports(zip(functions, lines, strict=False))
    imports = frozenset(item.name or "" for item in compiled.imports)
    return Module(compiled, word_bits, imports, exports, frozenset(functions), did.decode())


def _check_imports(compiled: wasmtime.Module, signatures: Iterable[str], word_bits: int) -> None:
    section = "Wasm module has an invalid import section."
    functions = [item for item in compiled.imports if isinstance(item.type, wasmtime.FuncType)]
    for item, signature in zip(functions, signatures, strict=False):
        imported = system_api(word_bits).get(item.name or "")
        if imported is None or item.module != "ic0":
            reason = f"Module imports function '{item.name}' from '{item.module}' that is not exported by the runtime."
            raise invalid(f"{section} {reason}")
        _check_signature(item.name or "", signature, imported.params, imported.results)
    # The replica refuses imported memories and tables later, when it instantiates the module.
    if any(isinstance(item.type, wasmtime.GlobalType) for item in compiled.imports):
        raise invalid(f"{section} Importing a global is not allowed.")


def _check_exports(functions: Iterable[tuple[str, str]]) -> None:
    methods = set()
    for name, signature in functions:
        kind, _, method = name.partition(" ")
        if kind in _METHODS and name != kind:
            if method in methods:
                reason = "exported multiple times with different call types: update, query, or composite_query."
                raise invalid(f"Duplicate function '{method}' {reason}")
            methods.add(method)
        elif name.startswith("canister_") and name.removeprefix("canister_") not in _HOOKS:
            reason = f"Exporting reserved function '{name}' with \"canister_\" prefix"
            raise invalid(f"Wasm module has an invalid export section. {reason}")
        if name.startswith("canister_"):
            _check_signature(name, signature, [], [])


def _check_signature(name: str, signature: str, params: list[str], results: list[str]) -> None:
    for what, types, got in zip(("input params", "return type"), (params, results), signature.split("\t"), strict=True):
        expected = f"[{', '.join(types)}]"
        if got != expected:
            reason = f"Expected {what} {expected} for '{name}', got {got}."
            raise invalid(f"Wasm module has an invalid function signature. {reason}")
