"""A stand-in for the PocketIC server, for machines that have none: `tools/canister.py` behind the server's interface.

It is not PocketIC. It answers what the crate `pocket-ic` 16.1.0 asks for the generated integration test, in the form of
that crate's `src/common/rest.rs`: one canister in each instance, created, installed, upgraded, asked for its status and
queried, and a clock. Of a canister's settings it knows the memory limit; in a status, other figures are 0. Whatever
else it is asked, and whatever the canister or the replica's rules refuse, is an error with a text, never a success.

As the server does, it writes its port to the file that `--port-file` names, and leaves at once where that file exists.
It ends with the process that started it.
"""

import argparse
import base64
import json
import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from canister import (
    ANONYMOUS,
    CANISTER_ID,
    DEFAULT_WASM_MEMORY_LIMIT,
    MANAGEMENT_CANISTER,
    START_TIME,
    Canister,
    CanisterError,
    decode,
    encode,
    principal_bytes,
)

VERSION = "pocket-ic-server 16.1.0"
CANISTER = principal_bytes(CANISTER_ID)
ARGUMENTS = """service : {
  provisional_create_canister_with_cycles : () -> (record { settings : opt record { wasm_memory_limit : opt nat } });
  install_code : () -> (record {
    mode : variant { install; reinstall; upgrade : opt reserved };
    canister_id : principal;
    wasm_module : blob;
    arg : blob;
  });
  canister_status : () -> (record { canister_id : principal });
}"""
"""The arguments of the methods of the management canister that are here, as results, since `decode` reads results."""


class Instance:
    """An instance of PocketIC, with at most one canister. The public methods are endpoints."""

    def __init__(self) -> None:
        self._time = START_TIME
        self._limit: int | None = None
        self._canister: Canister | None = None
        self._calls: dict[str, dict[str, Any]] = {}

    def get_time(self, _body: None) -> dict[str, int]:
        return {"nanos_since_epoch": self._time}

    def set_time(self, body: dict[str, int]) -> None:
        self._time = body["nanos_since_epoch"]

    def tick(self, _body: object) -> None:
        """Run a round at the present time, to which the clock has jumped, as in PocketIC: it did not run up to it."""
        if self._canister:
            self._canister._world.time = self._time
            self._canister.advance(0)

    def submit_ingress_message(self, call: dict[str, Any]) -> dict[str, Any]:
        message = _base64(str(len(self._calls)).encode())
        self._calls[message] = call
        return {"Ok": {"effective_principal": call["effective_principal"], "message_id": message}}

    def await_ingress_message(self, body: dict[str, Any]) -> dict[str, str]:
        self.tick(None)
        return self._call(self._calls.pop(body["message_id"]), "update")

    def query(self, call: dict[str, Any]) -> dict[str, str]:
        return self._call(call, "query")

    def _call(self, call: dict[str, Any], kind: str) -> dict[str, str]:
        sender, callee, payload = (base64.b64decode(call[name]) for name in ("sender", "canister_id", "payload"))
        if sender != principal_bytes(ANONYMOUS):
            raise NotImplementedError("a caller who is not anonymous")
        if callee == MANAGEMENT_CANISTER:
            return {"Ok": _base64(encode("", self._manage(call["method"], payload)))}
        if callee != CANISTER or self._canister is None:
            raise ValueError(f"no canister with code has the principal {callee.hex()}")
        return {"Ok": _base64(getattr(self._canister, kind)(call["method"], payload))}

    def _manage(self, method: str, payload: bytes) -> str:
        """What the management canister replies, as Candid text."""
        if f"  {method} : " not in ARGUMENTS:
            raise NotImplementedError(f"{method} of the management canister")
        args = decode(ARGUMENTS, payload, method)
        if method == "provisional_create_canister_with_cycles":
            if self._limit is not None:
                raise NotImplementedError("a second canister in an instance")
            limit = re.search(r"wasm_memory_limit = opt \(([\d_]+) : nat\)", args)
            self._limit = int(limit[1]) if limit else DEFAULT_WASM_MEMORY_LIMIT
            return f'(record {{ canister_id = principal "{CANISTER_ID}" }})'
        if self._limit is None or f'canister_id = principal "{CANISTER_ID}"' not in args:
            raise ValueError(f"{method}: the canister of this instance is {CANISTER_ID}, if there is one")
        if method == "canister_status":
            return self._status()
        self._install(re.search(r"mode = variant \{ (\w+)", args)[1], _blob(args, "wasm_module"), _blob(args, "arg"))
        return "()"

    def _install(self, mode: str, module: bytes, arg: bytes) -> None:
        if mode == "install" and self._canister is None:
            self._canister = Canister.install(module, arg, wasm_memory_limit=self._limit, time=self._time)
        elif mode == "upgrade" and self._canister is not None:
            self._canister.upgrade(module, arg)
        else:
            raise NotImplementedError(f"install_code: {mode}, with{'' if self._canister else 'out'} code already there")

    def _status(self) -> str:
        return f"""(record {{
            status = variant {{ running }}; ready_for_migration = false; version = 0 : nat64; module_hash = null;
            settings = record {{
                controllers = vec {{ principal "{ANONYMOUS}" }}; environment_variables = vec {{}};
                log_visibility = variant {{ controllers }}; snapshot_visibility = variant {{ controllers }};
                wasm_memory_limit = {self._limit} : nat;
                {_zeros("compute_allocation memory_allocation freezing_threshold reserved_cycles_limit")}
                {_zeros("log_memory_limit wasm_memory_threshold")} }};
            memory_metrics = record {{
                {_zeros("wasm_memory_size stable_memory_size global_memory_size wasm_binary_size custom_sections_size")}
                {_zeros("canister_history_size wasm_chunk_store_size snapshots_size log_memory_store_size")} }};
            query_stats = record {{
                {_zeros("num_calls_total num_instructions_total")}
                {_zeros("request_payload_bytes_total response_payload_bytes_total")} }};
            {_zeros("memory_size cycles reserved_cycles idle_cycles_burned_per_day")} }})"""


def _zeros(names: str) -> str:
    return " ".join(f"{name} = 0 : nat;" for name in names.split())


def _blob(text: str, field: str) -> bytes:
    """A blob in Candid text; what has a byte that is no ASCII character, as a module and arguments do, is all `\\xx`."""
    return bytes.fromhex(re.search(rf'{field} = blob "(.*?)"', text)[1].replace("\\", ""))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


ENDPOINTS: dict[str, Callable[[Instance, Any], object]] = {
    "GET read/get_time": Instance.get_time,
    "POST read/query": Instance.query,
    "POST update/set_time": Instance.set_time,
    "POST update/tick": Instance.tick,
    "POST update/submit_ingress_message": Instance.submit_ingress_message,
    "POST update/await_ingress_message": Instance.await_ingress_message,
}


class Server(ThreadingHTTPServer):
    """The instances, by number, and what answers one request after the other."""

    timeout = 1

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self._instances: dict[str, Instance] = {}
        self._numbers = count()
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, object]:
        """The status and the answer to a request such as POST /instances/0/update/tick."""
        with self._lock:
            try:
                if (method, path) == ("POST", "/instances"):
                    return 200, self._create()
                number, endpoint = re.fullmatch("(?:/instances/([0-9]+)/)?(.*)", path).groups()
                if (method, endpoint) == ("DELETE", ""):
                    return 200, self._instances.pop(number) and None
                return 200, ENDPOINTS[f"{method} {endpoint}"](self._instances[number], body)
            except (CanisterError, ValueError) as error:
                return 400, {"message": str(error)}
            except (KeyError, NotImplementedError) as error:
                return 501, {"message": f"not in this stand-in for PocketIC: {method} {path}: {error}"}

    def _create(self) -> dict[str, Any]:
        number = next(self._numbers)
        self._instances[str(number)] = Instance()
        topology = {"subnet_configs": {}, "default_effective_canister_id": {"canister_id": _base64(CANISTER)}}
        return {"Created": {"instance_id": number, "topology": topology, "http_gateway_info": None}}


class Handler(BaseHTTPRequestHandler):
    def _respond(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
        status, answer = self.server.answer(self.command, self.path, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_GET = do_POST = do_DELETE = _respond

    def log_message(self, *_: object) -> None:
        """Say nothing of a request."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--ttl", help="not used: it ends with the process that started it")
    port_file = parser.parse_args().port_file
    parent = os.getppid()
    with suppress(FileExistsError), port_file.open("x") as file:
        server = Server()
        print(server.server_port, file=file, flush=True)
        while os.getppid() == parent:
            server.handle_request()
        port_file.unlink()


if __name__ == "__main__":
    main()
