"""Write docs/picture.svg: what a terminal shows from `copier copy` to the canister's answer.

Each command in the picture is run as it stands there, in a folder that shows as `~` and where `TEMPLATE` is a copy of
this repository; a grey `…` stands for lines that were left out. The same template gives the same bytes.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

import pexpect
import pyte
import yaml
from hello import say
from workspace import ROOT, TARGET_DIR, native_tool

PICTURE = ROOT / "docs/picture.svg"
MODULE = "hello/target/wasm64-unknown-unknown/release/hello_backend.wasm"
COPY = "copier copy TEMPLATE hello"
BUILD = "bash hello/build.sh hello_backend"
CALL = f"python TEMPLATE/tools/canister.py \\\n    {MODULE} call greet '(\"ICP\")'"

CUT = "\x1b[90m…\x1b[39m\r\n"
"""What stands for lines that are left out."""
COLUMNS, LINES = 92, 60
"""Of the terminal: the widest question fits, and nothing scrolls."""
CELL, LINE, MARGIN = 9, 20, 18
"""Pixels: a character's width, a line's height, the space around."""
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
COLORS = {"default": "#e6edf3", "green": "#3fb950", "brightblack": "#8b949e"}
BACKGROUND, BORDER = "#161b22", "#6e7681"


def questions() -> list[str]:
    """The `help` of each question, in the order in which Copier asks."""
    settings = yaml.safe_load((ROOT / "copier.yml").read_text())
    return [question["help"] for name, question in settings.items() if not name.startswith("_")]


def start(command: str, folder: Path) -> pexpect.spawn:
    """The command in a shell and terminal of its own."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TERM": "xterm-256color",
        "COPIER_SETTINGS_PATH": str(folder / "settings.yml"),
        "PROMPT_TOOLKIT_NO_CPR": "1",  # pexpect does not tell where its cursor is.
    }
    return pexpect.spawn(
        "bash",
        ["-c", command],
        cwd=folder,
        env=os.environ | environment,
        encoding="utf-8",
        dimensions=(LINES, COLUMNS),
        timeout=900,
    )


def rest(terminal: pexpect.spawn) -> str:
    """What the command prints until it ends. Raises `RuntimeError` where it fails."""
    printed = terminal.read()
    terminal.close()
    if terminal.exitstatus:
        raise RuntimeError(printed)
    return printed


def record(afterwards: Sequence[tuple[str, str]]) -> pyte.Screen:
    """Run `copier copy`, each question answered with its default, then other commands; return the terminal at the end.

    Of these, each with what is to be shown before, only the last line that they print is shown.
    """
    screen = pyte.Screen(COLUMNS, LINES)
    show = pyte.Stream(screen).feed

    def prompt(command: str) -> None:
        show(f"\x1b[32m$\x1b[39m {command}\n".replace("\n", "\r\n"))

    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "settings.yml").write_text("{}")
        template = folder / "TEMPLATE"  # Without git, so that Copier takes the work tree as it is.
        for part in ("includes", "template"):
            shutil.copytree(ROOT / part, template / part)
        shutil.copy(ROOT / "copier.yml", template)
        (template / "tools").symlink_to(ROOT / "tools")

        prompt(COPY)
        copier = start(COPY, folder)
        for question in questions():
            while question not in "\n".join(screen.display):
                show(copier.read_nonblocking(4096, timeout=30))
            copier.send("\r")
        show(rest(copier).partition("Copying from template")[0])
        show(CUT)

        (folder / "hello/target").symlink_to(TARGET_DIR)
        for command, before in afterwards:
            prompt(command)
            *_, last = rest(start(command, folder)).replace(str(folder), "~").splitlines()
            show(f"{before}{last}\r\n")
    return screen


def spans(screen: pyte.Screen) -> Iterator[tuple[int, int, str, pyte.screens.Char]]:
    """Line, column, text and style of all that stands on the screen."""
    for line in range(screen.cursor.y):
        cells = ((column, screen.buffer[line][column]) for column in range(COLUMNS))
        for _, group in groupby(cells, key=lambda cell: (cell[1].fg, cell[1].bold)):
            (column, style), *others = group
            text = style.data + "".join(char.data for _, char in others)
            if text.strip():
                yield line, column + len(text) - len(text.lstrip()), text.strip(), style


def draw(screen: pyte.Screen) -> str:
    """The screen as an SVG that needs no font but a monospace one of the viewer's."""
    width, height = COLUMNS * CELL + 2 * MARGIN, screen.cursor.y * LINE + 2 * MARGIN
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}")
    box = {"x": "0.5", "y": "0.5", "width": str(width - 1), "height": str(height - 1), "rx": "8"}
    ET.SubElement(svg, "rect", box, fill=BACKGROUND, stroke=BORDER)
    lines = ET.SubElement(svg, "g", {"font-family": FONT, "font-size": "15"})
    for line, column, text, style in spans(screen):
        place = {"x": str(MARGIN + column * CELL), "y": str(MARGIN + line * LINE + 15)}
        length = {"textLength": str(len(text) * CELL)} if text.isascii() else {}  # Holds any font to the cells.
        color = {"fill": COLORS.get(style.fg, f"#{style.fg}")} | ({"font-weight": "bold"} if style.bold else {})
        ET.SubElement(lines, "text", place | length | color).text = text
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def main() -> None:
    """Write the picture."""
    say("Building what calls the canister, and the canister")
    native_tool()
    try:
        svg = draw(record([(BUILD, CUT), (CALL, "")]))
    except (RuntimeError, pexpect.ExceptionPexpect) as error:
        sys.exit(f"make picture: a command failed or stood still:\n{error}")
    PICTURE.write_text(svg)
    say(f"Wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
