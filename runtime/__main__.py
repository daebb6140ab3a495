"""The command line: `python -m runtime MODULE ACTION...`."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from .canister import ANONYMOUS, DEFAULT_WASM_MEMORY_LIMIT, Canister
from .errors import CanisterError
from .module import HELPER

ACTIONS = """\
actions, run in order on the same canister:
  call METHOD [ARGS]   call a query or update method and print its reply; ARGS is Candid text, () unless given
  advance SECONDS      move the clock and run the timers that are due on the way
  upgrade [MODULE]     upgrade to MODULE, or to the same module again
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Return the exit code: 0, or 1 with the reason on standard error."""
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
    """Run the first action of the words, and remove its words. Raise `ValueError` if they are not an action."""
    name = words.popleft()
    if name == "call" and words:
        method = words.popleft()
        print(canister.call(method, words.popleft() if words and words[0].lstrip().startswith("(") else "()"))
    elif name == "advance" and words:
        canister.advance(float(words.popleft()))
    elif name == "upgrade":
        canister.upgrade(words.popleft() if words and words[0] not in ("call", "advance", "upgrade") else None)
    else:
        raise ValueError(f"{name}: not an action, or its value is missing")


if __name__ == "__main__":
    sys.exit(main())
