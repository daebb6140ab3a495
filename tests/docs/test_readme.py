"""README.md and README.ja.md: the commands work, the tables are true, and both languages say the same."""

import json
import re
from pathlib import Path

from scripts.workspace import ROOT
from tests.conftest import Project
from tests.support.pages import DOCS, blocks, code
from tests.support.projects import QUESTIONS

ENGLISH, JAPANESE = ROOT / "README.md", ROOT / "README.ja.md"
TRANSLATED = {
    "English | [日本語](README.ja.md)": "[English](README.md) | 日本語",
    "README.ja.md": "README.md",
    "#the-questions": "#質問",
}
YES_NO = {"yes": ("yes", "あり", "はい"), "no": ("no", "なし", "いいえ")}
"""The words in the tables of README.ja.md for a word in the tables of README.md."""


def tables(document: Path) -> list[list[list[str]]]:
    """Return the cells of each table, row by row, without the line below its head."""
    found = re.findall(r"(?:^\|.*\n)+", document.read_text(), re.MULTILINE)
    rows = [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in found]
    return [[head, *body] for head, _, *body in rows]


_, CONTENTS, COMPARED = tables(ENGLISH)


def test_readmes_name_files_and_questions_that_exist(rendered: Project) -> None:
    project = rendered()
    for file in [file for cell, _ in CONTENTS[1:] for file in code(cell)]:
        assert (project / file).exists(), file
    for file in re.findall(r"`([\w.-]+\.(?:toml|yml|yaml|did|rs|json|sh|hbs))`", (project / "README.md").read_text()):
        assert list(project.rglob(file)), file
    questions = re.findall(r"^- `(\w+)`:", ENGLISH.read_text(), re.MULTILINE)
    assert questions and set(questions) <= QUESTIONS.keys()


def test_readme_compares_figures_of_the_benchmark() -> None:
    modules = json.loads((ROOT / "docs/reference/benchmark.json").read_text())["modules"]
    hello = {(each["profile"], each["target"]): each for each in modules if each["canister"] == "hello_backend"}
    default = "cargo's default"
    own, wasm32, wasm64 = hello["this template", "wasm64"], hello[default, "wasm32"], hello[default, "wasm64"]
    (figures,) = [row for _, *row in COMPARED if re.fullmatch(r"\d+,\d+", row[0])]
    ours, dfx, icp, example = (int(figure.replace(",", "")) for figure in figures)
    assert (ours, dfx, example) == (own["gzipped"], wasm32["bytes"], wasm64["built"])
    assert wasm32["bytes"] < icp < wasm32["built"]  # icp-cli shrinks the module, but keeps the names.
    page = (ROOT / "docs/explanation/comparison.md").read_text()
    assert re.findall(r"\| ([\d,]+) \|$", page, re.MULTILINE) == figures
    assert QUESTIONS["wasm_memory_limit"]["default"] in [row[1] for row in COMPARED]


def test_readme_starts_a_project_as_the_tutorial_does() -> None:
    followed = {command for block in blocks(DOCS / "tutorial.md") for command in block.commands()}
    (install, copy), rest = (block.commands() for block in blocks(ENGLISH)[:2])
    assert (install, copy) == ("pipx install copier", "copier copy TEMPLATE hello")
    assert len(rest) > 3 and set(rest) <= followed


def test_readmes_have_the_same_outline_code_and_links() -> None:
    english, japanese = ENGLISH.read_text(), JAPANESE.read_text()
    for pattern in (r"^(?:#+|-)(?= )", r"^    .*", r"\]\(([^)]+)\)"):
        found, other = (re.findall(pattern, text, re.MULTILINE) for text in (english, japanese))
        assert [TRANSLATED.get(each, each) for each in found] == other
    assert sorted(code(english)) == sorted(code(japanese))
    assert "\n## The questions\n" in english and "\n## 質問\n" in japanese
    assert TRANSLATED[english.splitlines()[2]] == japanese.splitlines()[2]


def test_readmes_have_the_same_tables() -> None:
    for table, translated in zip(tables(ENGLISH), tables(JAPANESE), strict=True):
        for row, translated_row in zip(table, translated, strict=True):
            for cell, other in zip(row, translated_row, strict=True):
                assert code(cell) == code(other)
                assert other in YES_NO.get(cell, [other])
                assert other == cell or not re.fullmatch(r"[\d,]+(?: GiB)?|wasm\d+", cell)
