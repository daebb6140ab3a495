"""Write docs/picture.svg: a terminal from `copier copy` to the canister's answer: `make picture`.

Each command in the picture is run, in a folder where `TEMPLATE` is a copy of the template. `…` stands for text that was left out.
"""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from scripts.workspace import ROOT, copy_template, search_path, share_target

PICTURE = ROOT / "docs/picture.svg"
COPY = "copier copy --defaults TEMPLATE hello"
BUILD = "bash hello/build.sh"
MODULE = "MODULE=hello/target/wasm64-unknown-unknown/release/hello_backend.wasm"
CALL = "python -m runtime $MODULE call greet '(\"ICP\")'"
COLUMNS = 71
CELL, LINE, MARGIN = 10, 24, 20
"""Pixels: a character's width, a line's height, and the space around."""
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"


def last_line(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command in `folder` and return the last line that it prints."""
    command = f"exec 2>&1; {MODULE}; {command}"
    printed = subprocess.check_output(["bash", "-c", command], cwd=folder, env=environment, text=True)
    return printed.rstrip().rpartition("\n")[2]


def draw(lines: list[str], answer: str) -> str:
    """Return the lines, and the answer larger below them, as an SVG that uses any monospace font of the reader's machine."""
    width, height = COLUMNS * CELL + 2 * MARGIN, (len(lines) + 3) * LINE + 2 * MARGIN
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}")
    box = {"x": "0.5", "y": "0.5", "width": str(width - 1), "height": str(height - 1), "rx": "8"}
    ET.SubElement(svg, "rect", box, fill="#161b22", stroke="#6e7681")
    texts = ET.SubElement(svg, "g", {"font-family": FONT, "font-size": "16", "fill": "#8b949e"})

    def text(words: str, y: int, width: int, style: dict[str, str]) -> None:
        ET.SubElement(texts, "text", {"x": str(MARGIN), "y": str(y), "textLength": str(width)} | style).text = words

    for number, line in enumerate(lines):
        text(line, MARGIN + number * LINE + 17, len(line) * CELL, {"fill": "#e6edf3"} if line.startswith("$") else {})
    style = {"font-size": "35", "font-weight": "bold", "fill": "#3fb950"}
    text(answer, height - MARGIN - 10, width - 2 * MARGIN, style)
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def main() -> None:
    """Write the picture."""
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copy_template(folder / "TEMPLATE")
        (folder / "settings.yml").write_text("{}")
        paths = {"PATH": search_path(), "COPIER_SETTINGS_PATH": str(folder / "settings.yml"), "PYTHONPATH": str(ROOT)}
        environment = os.environ | paths
        last_line(COPY, folder, environment)
        share_target(folder / "hello")
        built = last_line(BUILD, folder, environment)
        answer = last_line(CALL, folder, environment)
    module = built.rpartition("/")[2].partition(",")[0]
    PICTURE.write_text(draw([f"$ {COPY}", f"$ {BUILD}", f"…/{module}, …", f"$ {MODULE}", f"$ {CALL}"], answer))


if __name__ == "__main__":
    main()
