"""Copier at a terminal: its questions as a user sees them, and the keys to answer."""

import os
import re
import sys
from pathlib import Path

import pexpect


def copier(folder: Path, *args: str) -> pexpect.spawn:
    """Start Copier's command line in a terminal with 80 columns."""
    return pexpect.spawn(
        sys.executable,
        ["-m", "copier", *args],
        cwd=folder,
        env=os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1"},  # pexpect does not tell where its cursor is.
        encoding="utf-8",
        dimensions=(60, 80),
        timeout=30,
    )


def see(terminal: pexpect.spawn, text: str) -> None:
    """Wait until `text` appears. A terminal steps over blanks that it already shows."""
    terminal.expect(re.escape(text).replace(r"\ ", r"(?: |\x1b\[C)"))


def enter(terminal: pexpect.spawn, text: str) -> None:
    """Replace the answer at the prompt by `text`, in which no character acts as a key, and confirm it."""
    terminal.send("\x7f" * 70 + f"\x1b[200~{text}\x1b[201~\r")


def redraw(terminal: pexpect.spawn) -> None:
    """Draw the whole screen anew. Otherwise a terminal is sent only what differs from the last screen."""
    terminal.send("\x0c")
