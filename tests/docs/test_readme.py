"""README.md and README.ja.md: the commands work, the tables are true, and both languages say the same."""

import json
import re
from pathlib import Path

from scripts import bench
from scripts.workspace import ROOT
from tests.conftest import Project
from tests.support.pages import DOCS, blocks, code
from tests.support.projects import QUESTIONS

ENGLISH, JAPANESE = ROOT / "README.md", ROOT / "README.ja.md"
YES_NO = {"yes": ("yes", "あり", "はい"), "no": ("no", "なし", "いいえ")}
"""The words in the tables of README.ja.md for a word in the tables of README.md."""


def tables(document: Path) -> list[list[list[str]]]:
    """Return the cells of each table, row by row, without the line below its head."""
    found = re.findall(r"(?:^\|.*\n)+", document.read_text(), re.MULTILINE)
    rows = [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in found]
    return [[head, *body] for head, _, *body in rows]


_, CONTENTS, COMPARED = tables(ENGLISH)


def test_readmes_name_files_that_exist(rendered: Project) -> None:
    project = rendered()
    for file in [file for cell, _ in CONTENTS[1:] for file in code(cell)]:
        assert (project / file).exists(), file
    for file in re.findall(r"`([\w.-]+\.(?:toml|yml|yaml|did|rs|json|sh|hbs))`", (project / "README.md").read_text()):
        assert list(project.rglob(file)), file


def test_readme_compares_figures_of_the_benchmark() -> None:
    recorded = json.loads(bench.FIGURES.read_text())
    own = bench.find(recorded, "hello_backend", bench.OURS, "wasm64")["gzipped"]
    wasm32, wasm64 = (bench.find(recorded, "hello_backend", bench.CARGO, target) for target in ("wasm32", "wasm64"))
    figures = [f"{size:,}" for size in (own, wasm32["bytes"], wasm32["named"], wasm64["built"], wasm64["built"])]
    assert figures in [row for _, *row in COMPARED]
    assert re.findall(r"\| ([\d,]+) \|$", (DOCS / "explanation/comparison.md").read_text(), re.MULTILINE) == figures
    assert QUESTIONS["wasm_memory_limit"]["default"] in [row[1] for row in COMPARED]
    ours, cargos = (bench.find(recorded, "workloads", profile, "wasm64") for profile in (bench.OURS, bench.CARGO))
    cycles = re.findall(r" (\d\.\d\d) \|$", bench.page(recorded), re.MULTILINE)
    low, high = (f"{float(pick(cycles)):.1f}" for pick in (min, max))
    for document in (ENGLISH, JAPANESE):
        said = re.findall(r"\d\.\d+|\d+,\d+", document.read_text().partition("picture.svg")[0])
        assert said == [f"{bench.mean(ours, cargos):.2f}", figures[0], figures[1], figures[-1], low, high]
    assert f"{low} to {high} times the cycles" in (DOCS / "explanation/cost.md").read_text()


def test_readme_starts_a_project_as_the_tutorial_does() -> None:
    followed = {command for block in blocks(DOCS / "tutorial.md") for command in block.commands()}
    (install, copy, *rest) = blocks(ENGLISH, "Start a project")[0].commands()
    assert blocks(ENGLISH)[0].commands() == [copy] == ["copier copy TEMPLATE hello"]
    assert len(rest) > 3 and {install, *rest} <= followed


def test_readmes_have_the_same_outline_code_and_links() -> None:
    english, japanese = ENGLISH.read_text(), JAPANESE.read_text()
    for pattern in (r"^(?:#+|-)(?= )", r"^    .*", r"\]\(([^)]+)\)"):
        found, other = (re.findall(pattern, text, re.MULTILINE) for text in (english, japanese))
        assert [each.replace(JAPANESE.name, ENGLISH.name) for each in found] == other
    assert sorted(code(english)) == sorted(code(japanese))


def test_readmes_have_the_same_tables() -> None:
    for table, translated in zip(tables(ENGLISH), tables(JAPANESE), strict=True):
        for row, translated_row in zip(table, translated, strict=True):
            for cell, other in zip(row, translated_row, strict=True):
                assert code(cell) == code(other)
                assert other in YES_NO.get(cell, [other])
                assert other == cell or not re.fullmatch(r"[\d,]+(?: GiB)?|wasm\d+", cell)
