"""Run one canister on a PocketIC server, with the interface that `canister.Canister` has.

The wire format, JSON over HTTP with bytes in base64, is that of the crate `pocket-ic` 16.1.0: `src/nonblocking.rs`,
`src/common/rest.rs`, and `start_server` in `src/lib.rs`.
"""

import atexit
import base64
import gzip
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

from canister import (
    ANONYMOUS,
    DEFAULT_WASM_MEMORY_LIMIT,
    MANAGEMENT_CANISTER,
    Rejected,
    decode,
    encode,
    interface,
    parse_size,
    principal_bytes,
    read_module,
)

CYCLES = 100 * 10**12
"""The balance of a new canister, as in the crate."""

ROUNDS_AFTER = 3
"""Rounds after the clock has moved, for the messages that follow from a timer."""

START_SECONDS = 60
TTL_SECONDS = 3600
"""Time without a request after which a server ends that its tester could not end."""

MANAGEMENT = """service : {
  provisional_create_canister_with_cycles :
    (record { amount : opt nat; settings : opt record { wasm_memory_limit : opt nat } }) ->
    (record { canister_id : principal });
  install_code :
    (record { mode : variant { install; upgrade }; canister_id : principal; wasm_module : blob; arg : blob }) -> ();
}"""
"""What is used of the management canister ("The IC management canister" in the specification)."""

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PocketIcError(Exception):
    """There is no server, or it did not do what it was asked."""


class PocketIcCanister:
    """One installed canister, made with `PocketIcCanister.install`, in a PocketIC instance of its own.

    The server is the program that the environment variable POCKET_IC_BIN names. Methods are those of
    `canister.Canister`, with Candid text. What the replica or the canister refuses is `Rejected`; its code is
    PocketIC's name of the error, such as "CanisterCalledTrap".
    """

    def __init__(self, module: Path | bytes, wasm_memory_limit: int | str) -> None:
        self._module = read_module(module)
        self.did = interface(self._module)
        self.word_bits, self.imports, self.exports = self._module.word_bits, self._module.imports, self._module.exports
        limit = parse_size(wasm_memory_limit)
        self._url = _new_instance(_server(os.environ.get("POCKET_IC_BIN", "")))
        args = f"(record {{ amount = opt {CYCLES}; settings = opt record {{ wasm_memory_limit = opt {limit} }} }})"
        self._id = b""
        created = self._call("update", MANAGEMENT_CANISTER, "provisional_create_canister_with_cycles", MANAGEMENT, args)
        self._principal = re.search('principal "(.+?)"', created)[1]
        self._id = principal_bytes(self._principal)

    @classmethod
    def install(
        cls, module: Path | bytes, arg: str = "()", *, wasm_memory_limit: int | str = DEFAULT_WASM_MEMORY_LIMIT
    ) -> Self:
        """Install a module into a new canister, as `Canister.install` does. Raises `PocketIcError` as well."""
        canister = cls(module, wasm_memory_limit)
        canister._install("install", arg)
        return canister

    def __del__(self) -> None:
        with suppress(AttributeError, PocketIcError):
            _exchange(f"{self._url}/", method="DELETE")

    def call(self, method: str, args: str = "()") -> str:
        return (self.query if f"canister_query {method}" in self.exports else self.update)(method, args)

    def query(self, method: str, args: str = "()") -> str:
        return self._call("query", self._id, method, self.did, args)

    def update(self, method: str, args: str = "()") -> str:
        return self._call("update", self._id, method, self.did, args)

    def advance(self, seconds: float) -> None:
        """Move the clock in steps of a second, with a round after each: a timer runs up to a second late."""
        whole, rest = divmod(seconds, 1)
        for step in [1] * int(whole) + [rest] + [0] * ROUNDS_AFTER:
            if step:
                now = _request(f"{self._url}/read/get_time")["nanos_since_epoch"]
                self._post("update/set_time", {"nanos_since_epoch": now + round(step * 10**9)})
            self._post("update/tick", {"blockmakers": None})

    def upgrade(self, arg: str = "()") -> None:
        """Upgrade to the same module again."""
        self._install("upgrade", arg)

    def _install(self, mode: str, arg: str) -> None:
        module = gzip.compress(self._module.wasm)  # An ingress message has at most 2 MiB.
        args = f"""(record {{
            mode = variant {{ {mode} }};
            canister_id = principal "{self._principal}";
            wasm_module = {_blob(module)};
            arg = {_blob(encode(self.did, arg))} }})"""
        self._call("update", MANAGEMENT_CANISTER, "install_code", MANAGEMENT, args)

    def _call(self, kind: str, callee: bytes, method: str, did: str, args: str) -> str:
        message = {
            "sender": _base64(principal_bytes(ANONYMOUS)),
            "canister_id": _base64(callee),
            "effective_principal": {"CanisterId": _base64(self._id)} if self._id else "None",
            "method": method,
            "payload": _base64(encode(did, args, method)),
        }
        if kind == "query":
            reply = self._post("read/query", message)
        else:
            reply = self._post("update/await_ingress_message", self._post("update/submit_ingress_message", message))
        return decode(did, base64.b64decode(reply), method)

    def _post(self, endpoint: str, body: object) -> Any:
        """The answer of an endpoint; where that is a Rust `Result`, what is in it, or else `Rejected`."""
        answer = _request(f"{self._url}/{endpoint}", body)
        if isinstance(answer, dict) and "Err" in answer:
            raise Rejected(answer["Err"]["error_code"], answer["Err"]["reject_message"])
        return answer["Ok"] if isinstance(answer, dict) and "Ok" in answer else answer


def _blob(data: bytes) -> str:
    return 'blob "' + re.sub("..", r"\\\g<0>", data.hex()) + '"'


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _request(url: str, body: object = None) -> Any:
    """The answer, after waiting where the server says that it computes (202) or is busy with something else (409)."""
    while True:
        status, answer = _exchange(url, body)
        if status == 200:
            return json.loads(answer)
        if status == 202:
            server, started = url.split("/instances/")[0], json.loads(answer)
            url, body = f"{server}/read_graph/{started['state_label']}/{started['op_id']}", None
        elif status != 409 and not (status == 404 and "/read_graph/" in url):
            raise PocketIcError(f"{url}: {status} {answer.decode(errors='replace')}")
        time.sleep(0.01)


def _exchange(url: str, body: object = None, method: str | None = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with _opener.open(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        raise PocketIcError(f"{url}: {error}") from None


def _new_instance(server: str) -> str:
    subnet = {"state_config": "New", "instruction_config": "Production"}
    config = {"subnet_config_set": {"system": [], "application": [subnet], "verified_application": []}}
    answer = json.loads(_exchange(f"{server}/instances", config)[1])
    if "Created" not in answer:
        raise PocketIcError(f"no instance: {answer}")
    return f"{server}/instances/{answer['Created']['instance_id']}"


@cache
def _server(program: str) -> str:
    """The address of a server that this process starts and ends."""
    try:
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise PocketIcError(f"POCKET_IC_BIN is no PocketIC server: {error}") from None
    if not version.startswith("pocket-ic-server 16."):
        raise PocketIcError(f"POCKET_IC_BIN is not a PocketIC server of version 16: {version.strip()}")
    port = Path(tempfile.mkdtemp()) / "port"
    process = subprocess.Popen([program, "--ttl", str(TTL_SECONDS), "--port-file", str(port)])
    atexit.register(process.terminate)
    for _ in range(START_SECONDS * 100):
        if port.exists() and (text := port.read_text()).endswith("\n"):
            return f"http://localhost:{text.strip()}"
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise PocketIcError(f"the PocketIC server did not start: exit code {process.poll()}")
