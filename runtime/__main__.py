"""The command line: `python -m runtime MODULE ACTION...`."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from .canister import DEFAULT_WASM_MEMORY_LIMIT, Canister
from .errors import ANONYMOUS, CanisterError
from .module import HELPER

ACTIONS = """\
actions, run in order on the same canister:
  call METHOD [ARGS]   call a query or update method and print its reply; ARGS is Candid text (default: ())
  advance SECONDS      move the clock forward and run each timer that becomes due
  upgrade [MODULE]     upgrade to MODULE (default: the same module again)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, or 1 after printing the reason to standard error."""
    parser = ArgumentParser("python -m runtime", epilog=ACTIONS, formatter_class=RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("module", metavar="MODULE", help="a Wasm module, gzipped or not, 32-bit or 64-bit")
    add("actions", metavar="ACTION", nargs="*", help="see below")
    add("--arg", default="()", help="Candid text for canister_init (default: ())")
    add("--caller", default=ANONYMOUS, help="the principal that calls (default: anonymous)")
    add("--did", type=Path, help="the file with the interface, if the module lacks it")
    add("--helper", default=HELPER, help="the compiled runtime/helper")
    add("--wasm-memory-limit", default=DEFAULT_WASM_MEMORY_LIMIT, help="such as 6 GiB; 0 is none (default: 3 GiB)")
    add("--wasm-memory-threshold", default=0, help="canister_on_low_wasm_memory runs when less is left (default: 0)")
    settings = vars(parser.parse_intermixed_args(arguments))
    try:
        words = deque(settings.pop("actions"))
        settings["did"] = settings["did"].read_text() if settings["did"] else ""
        canister = Canister.install(**settings)
        while words:
            act(canister, words)
    except (CanisterError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def act(canister: Canister, words: deque[str]) -> None:
    """Remove the first action from the words and run it. Raise `ValueError` if the words begin with no action."""
    name = words.popleft()
    if name == "call" and words:
        method = words.popleft()
        print(canister.call(method, words.popleft() if words and words[0].lstrip().startswith("(") else "()"))
    elif name == "advance" and words:
        canister.advance(float(words.popleft()))
    elif name == "upgrade":
        canister.upgrade(words.popleft() if words and words[0] not in ("call", "advance", "upgrade") else None)
    else:
        raise ValueError(f"Write an action and its value, as in --help: {name} is wrong or has no value.")


if __name__ == "__main__":
    sys.exit(main())
