"""Write docs/picture.svg: what a terminal shows from `copier copy` to the canister's answer: `make picture`.

Each command in the picture is run, in a folder where `TEMPLATE` is a copy of the template. `…` stands for lines that
were left out.
"""

import os
import subprocess
import textwrap
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
COLUMNS, LINES = 92, 60
"""The size of the terminal: the widest question fits, and nothing scrolls."""
CELL, LINE, MARGIN = 9, 20, 18
"""Pixels: a character's width, a line's height, and the space around."""
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
STYLES = {"$": {"fill": "#3fb950"}, "…": {"fill": "#8b949e"}, "🎤": {"font-weight": "bold"}}
"""How a line is drawn, by its first character: a command, lines that were left out, a question."""


def copy(folder: Path, environment: dict[str, str]) -> list[str]:
    """Run `copier copy` in `folder`, accept each default answer, and return what the terminal shows."""
    screen = pyte.Screen(COLUMNS, LINES)
    show = pyte.Stream(screen).feed
    copier = pexpect.spawn(COPY, cwd=folder, env=environment, encoding="utf-8", dimensions=(LINES, COLUMNS))
    settings = yaml.safe_load((ROOT / "copier.yml").read_text())
    questions = [settings[name] for name in settings if not name.startswith("_")]
    for question in [question["help"] for question in questions if question.get("ask") is not False]:
        while question not in "\n".join(screen.display):
            show(copier.read_nonblocking(4096, timeout=30))
        copier.send("\r")
    show(copier.read().partition("Copying from template")[0])
    return [line.rstrip() for line in screen.display if line.strip()]


def last_line(command: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """Run a command in `folder` and return the last line that it prints, wrapped."""
    printed = subprocess.check_output(["bash", "-c", command], cwd=folder, env=environment, text=True)
    return textwrap.wrap(printed.replace(str(folder), "~").splitlines()[-1], COLUMNS)


def draw(lines: list[str]) -> str:
    """Return the lines as an SVG that uses any monospace font of the reader's machine."""
    width, height = COLUMNS * CELL + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}")
    box = {"x": "0.5", "y": "0.5", "width": str(width - 1), "height": str(height - 1), "rx": "8"}
    ET.SubElement(svg, "rect", box, fill="#161b22", stroke="#6e7681")
    texts = ET.SubElement(svg, "g", {"font-family": FONT, "font-size": "15", "fill": "#e6edf3"})
    for number, line in enumerate(lines):
        text = line.lstrip()
        place = {"x": str(MARGIN + (len(line) - len(text)) * CELL), "y": str(MARGIN + number * LINE + 15)}
        length = {"textLength": str(len(text) * CELL)} if text.isascii() else {}  # Fits any font to the cells.
        ET.SubElement(texts, "text", place | length | STYLES.get(text[0], {})).text = text
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def main() -> None:
    """Write the picture."""
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (copy_template(folder / "TEMPLATE") / "runtime").symlink_to(ROOT / "runtime")
        (folder / "settings.yml").write_text("{}")
        environment = os.environ | {
            "PATH": search_path(),
            "TERM": "xterm-256color",
            "COPIER_SETTINGS_PATH": str(folder / "settings.yml"),
            "PROMPT_TOOLKIT_NO_CPR": "1",  # pexpect does not tell where its cursor is.
        }
        lines = [f"$ {COPY}", *copy(folder, environment), "…"]
        share_target(folder / "hello")
        lines += [f"$ {BUILD}", "…", *last_line(BUILD, folder, environment)]
        lines += [*f"$ {CALL}".splitlines(), *last_line(CALL, folder, environment)]
        PICTURE.write_text(draw(lines))


if __name__ == "__main__":
    main()
