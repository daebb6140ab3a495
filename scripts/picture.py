"""Write docs/picture.svg: what a terminal shows from `copier copy` to the canister's answer: `make picture`.

Each command in the picture is run, in a folder where `TEMPLATE` is a copy of the template. A grey `…` stands for lines that were
left out.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

import pexpect
import pyte
import yaml

from scripts.workspace import ROOT, copy_template, search_path, share_target

PICTURE = ROOT / "docs/picture.svg"
COPY = "copier copy TEMPLATE hello"
BUILD = "bash hello/build.sh hello_backend"
MODULE = "hello/target/wasm64-unknown-unknown/release/hello_backend.wasm"
CALL = f"PYTHONPATH=TEMPLATE python -m runtime \\\n    {MODULE} call greet '(\"ICP\")'"
CUT = "\x1b[90m…\x1b[39m\r\n"
COLUMNS, LINES = 92, 60
"""The size of the terminal: the widest question fits, and nothing scrolls."""
CELL, LINE, MARGIN = 9, 20, 18
"""Pixels: a character's width, a line's height, and the space around."""
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
COLORS = {"default": "#e6edf3", "green": "#3fb950", "brightblack": "#8b949e"}


def record(folder: Path) -> pyte.Screen:
    """Run the commands in `folder`, accept each question's default answer, and return the terminal."""
    screen = pyte.Screen(COLUMNS, LINES)
    show = pyte.Stream(screen).feed
    environment = os.environ | {
        "PATH": search_path(),
        "TERM": "xterm-256color",
        "COPIER_SETTINGS_PATH": str(folder / "settings.yml"),
        "PROMPT_TOOLKIT_NO_CPR": "1",  # pexpect does not tell where its cursor is.
    }

    def prompt(command: str) -> None:
        show(f"\x1b[32m$\x1b[39m {command}\n".replace("\n", "\r\n"))

    prompt(COPY)
    copier = pexpect.spawn(COPY, cwd=folder, env=environment, encoding="utf-8", dimensions=(LINES, COLUMNS))
    settings = yaml.safe_load((ROOT / "copier.yml").read_text())
    for question in [settings[name]["help"] for name in settings if not name.startswith("_")]:
        while question not in "\n".join(screen.display):
            show(copier.read_nonblocking(4096, timeout=30))
        copier.send("\r")
    show(copier.read().partition("Copying from template")[0] + CUT)
    share_target(folder / "hello")
    for command, before in ((BUILD, CUT), (CALL, "")):
        prompt(command)
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, check=False, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"make picture: fix this error of {command}:\n{done.stderr}")
        show(before + done.stdout.replace(str(folder), "~").splitlines()[-1] + "\r\n")
    return screen


def spans(screen: pyte.Screen) -> Iterator[tuple[int, int, str, pyte.screens.Char]]:
    """Yield the line, column, text and style of each stretch of text on the screen."""
    for line in range(screen.cursor.y):
        cells = ((column, screen.buffer[line][column]) for column in range(COLUMNS))
        for _, group in groupby(cells, key=lambda cell: (cell[1].fg, cell[1].bold)):
            (column, style), *others = group
            text = style.data + "".join(char.data for _, char in others)
            if text.strip():
                yield line, column + len(text) - len(text.lstrip()), text.strip(), style


def draw(screen: pyte.Screen) -> str:
    """Return the screen as an SVG that uses any monospace font of the reader's machine."""
    width, height = COLUMNS * CELL + 2 * MARGIN, screen.cursor.y * LINE + 2 * MARGIN
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}")
    box = {"x": "0.5", "y": "0.5", "width": str(width - 1), "height": str(height - 1), "rx": "8"}
    ET.SubElement(svg, "rect", box, fill="#161b22", stroke="#6e7681")
    lines = ET.SubElement(svg, "g", {"font-family": FONT, "font-size": "15"})
    for line, column, text, style in spans(screen):
        place = {"x": str(MARGIN + column * CELL), "y": str(MARGIN + line * LINE + 15)}
        length = {"textLength": str(len(text) * CELL)} if text.isascii() else {}  # Fits any font to the cells.
        color = {"fill": COLORS.get(style.fg, f"#{style.fg}")} | ({"font-weight": "bold"} if style.bold else {})
        ET.SubElement(lines, "text", place | length | color).text = text
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def main() -> None:
    """Write the picture."""
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (copy_template(folder / "TEMPLATE") / "runtime").symlink_to(ROOT / "runtime")
        (folder / "settings.yml").write_text("{}")
        PICTURE.write_text(draw(record(folder)))


if __name__ == "__main__":
    main()
