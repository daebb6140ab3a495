"""Copier at a terminal: its questions as a user sees them, and the keys to answer."""

import os
import re
import sys
from pathlib import Path

import pexpect
from conftest import QUESTIONS


def copier(folder: Path, *args: str) -> pexpect.spawn:
    """Copier's command line in a terminal wide enough for each question."""
    environment = os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1"}  # pexpect does not tell where its cursor is.
    return pexpect.spawn(
        sys.executable,
        ["-m", "copier", *args],
        cwd=folder,
        env=environment,
        encoding="utf-8",
        dimensions=(60, 160),
        timeout=30,
    )


def first_words(question: str) -> str:
    """What a question's help starts with."""
    return QUESTIONS[question]["help"].split("?")[0]


def see(terminal: pexpect.spawn, text: str) -> None:
    """Wait for `text`. A terminal is not sent the blanks that it already shows, but told to step over them."""
    terminal.expect(re.escape(text).replace(r"\ ", r"(?: |\x1b\[C)"))


def clear(terminal: pexpect.spawn) -> None:
    """Delete the answer that stands at the prompt."""
    terminal.send("\x7f" * 20)
