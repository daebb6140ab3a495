"""The README: its commands do what they say, its tables and picture show what is so, and both languages say the same."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import bench
import picture
import pytest
import yaml
from bench_report import CARGO, OURS, find
from conftest import FILES, QUESTIONS, ROOT, Generate, copy, share_target
from test_hello import ANSWER

README, JAPANESE = ((ROOT / name).read_text() for name in ("README.md", "README.ja.md"))
FIGURES = json.loads(bench.FIGURES.read_text())
IN_ENGLISH, IN_JAPANESE = "English | [日本語](README.ja.md)", "[English](README.md) | 日本語"


def tables(document: str) -> list[list[list[str]]]:
    """The cells of each table, row by row, without the line below its head."""
    found = re.findall(r"(?:^\|.*\n)+", document, re.MULTILINE)
    rows = [[line.strip("|").split("|") for line in table.splitlines()] for table in found]
    return [[[cell.strip() for cell in row] for row in (head, *body)] for head, _, *body in rows]


FIGURE = r"[\d,]+(?: GiB)?|wasm\d+"
YES_NO = {"yes": ("yes", "あり", "はい"), "no": ("no", "なし", "いいえ")}
DEPLOYING, CONTENTS, ASKED, COMPARED = tables(README)


def blocks(document: str) -> list[str]:
    """The indented blocks: commands."""
    return re.findall(r"(?:^ {4}\S.*\n)+", document, re.MULTILINE)


def cells(found: list[list[list[str]]]) -> list[str]:
    return [cell for table in found for row in table for cell in row]


def links(document: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", document)


def code(text: str) -> list[str]:
    return re.findall(r"`[^`]+`", text)


# What it says


def test_the_table_of_questions_is_copier_yml() -> None:
    rows = {name.strip("`"): default.strip("`") for name, default, _ in ASKED[1:]}
    assert list(rows) == list(QUESTIONS)
    for name, question in QUESTIONS.items():
        if question["type"] == "bool":
            assert rows[name] == ("yes" if question["default"] else "no")
    assert rows["wasm_memory_limit"] == QUESTIONS["wasm_memory_limit"]["default"]


def test_the_table_of_files_is_what_is_generated() -> None:
    named = {name.strip("`") for cell, _ in CONTENTS[1:] for name in code(cell)}
    folder = "src/hello_backend/"
    assert named == {file if not file.startswith(folder) else folder for file in FILES}


def test_the_commands_to_deploy_are_those_of_the_generated_readme(generate: Generate) -> None:
    generated = (generate() / "README.md").read_text()
    commands = [command.strip("`") for _, *row in DEPLOYING[1:] for cell in row for command in code(cell)]
    assert len(commands) == 7
    for command in commands:
        assert command in generated


def test_each_figure_compared_is_the_benchmarks() -> None:
    (figures,) = [row for _, *row in COMPARED if re.fullmatch(r"\d+,\d+", row[0])]
    ours, dfx, icp, example = (int(figure.replace(",", "")) for figure in figures)
    own, wasm32, wasm64 = (
        find(FIGURES, "hello_backend", profile, target)
        for profile, target in ((OURS, "wasm64"), (CARGO, "wasm32"), (CARGO, "wasm64"))
    )
    assert (ours, dfx, example) == (own["gzipped"], wasm32["bytes"], wasm64["built"])
    assert wasm32["bytes"] < icp < wasm32["built"]  # Shrunk, but for the names.
    page = (ROOT / "docs/explanation/comparison.md").read_text()
    assert re.findall(r"\| ([\d,]+) \|$", page, re.MULTILINE) == figures
    assert QUESTIONS["wasm_memory_limit"]["default"] in [row[1] for row in COMPARED]


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 125
    assert len(JAPANESE.splitlines()) <= 130


@pytest.mark.rust
def test_the_commands_start_a_project_that_builds(snapshot: Path, tmp_path: Path) -> None:
    install, copier, _, *rest = "".join(blocks(README)[:2]).replace("    ", "").splitlines()
    assert (install, copier) == ("pipx install copier", "copier copy TEMPLATE hello")
    assert rest.pop(1) == "rustup toolchain install"  # What setup.sh has done.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(command: str, folder: Path) -> str:
        result = subprocess.run(
            ["bash", "-ec", command], cwd=folder, env=environment, text=True, capture_output=True, check=False
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
        return result.stdout

    run(copier.replace("TEMPLATE", f"--defaults '{snapshot}'"), tmp_path)
    share_target(tmp_path / "hello")
    built = [run(command, tmp_path / "hello") for command in rest]
    assert "hello_backend.wasm: " in built[-1]


# The picture


def shown() -> list[str]:
    """The texts of the picture, from top to bottom."""
    return [element.text or "" for element in ElementTree.parse(picture.PICTURE).iter() if element.tag.endswith("text")]


def test_the_picture_shows_the_questions_with_their_defaults(snapshot: Path, tmp_path: Path) -> None:
    answers = yaml.safe_load((copy(snapshot, tmp_path / "hello") / ".copier-answers.yml").read_text())
    texts = shown()
    for name, question in QUESTIONS.items():
        answer = {True: "Yes", False: "No"}.get(answers[name], answers[name])
        assert question["help"] in texts, f"{name}: run make picture"
        assert texts[texts.index(question["help"]) + 1] == answer, f"{name}: run make picture"
    assert sum(text == "🎤" for text in texts) == len(QUESTIONS), "run make picture"


def test_the_picture_ends_with_the_answer() -> None:
    assert shown()[-1] == ANSWER, "run make picture"


def test_a_new_run_draws_the_same_prompts() -> None:
    written, drawn = (
        ElementTree.fromstring(text)[1] for text in (picture.PICTURE.read_text(), picture.draw(picture.record([])))
    )
    assert len(drawn) > 2 * len(QUESTIONS)
    for old, new in zip(written, drawn, strict=False):
        assert (old.attrib, old.text) == (new.attrib, new.text), "run make picture"


def test_the_picture_loads_nothing_from_elsewhere() -> None:
    text = picture.PICTURE.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|url\(|@import|href", text)


# Both languages


def test_each_language_leads_to_the_other() -> None:
    assert README.splitlines()[2] == IN_ENGLISH
    assert JAPANESE.splitlines()[2] == IN_JAPANESE


def test_both_languages_have_the_same_headings() -> None:
    english, japanese = (re.findall(r"^#+(?= )", text, re.MULTILINE) for text in (README, JAPANESE))
    assert english == japanese


def test_both_languages_have_the_same_commands() -> None:
    assert blocks(README) == blocks(JAPANESE)


def test_both_languages_have_the_same_tables() -> None:
    english, japanese = tables(README), tables(JAPANESE)
    assert [[len(row) for row in table] for table in english] == [[len(row) for row in table] for table in japanese]
    for one, other in zip(cells(english), cells(japanese), strict=True):
        assert code(one) == code(other)
        if one in YES_NO:
            assert other in YES_NO[one]
        if re.fullmatch(FIGURE, one):
            assert one == other


def test_both_languages_have_the_same_links() -> None:
    other = {"README.ja.md": "README.md"}
    english, japanese = (
        [other.get(link, re.sub("#.*", "#", link)) for link in links(text)] for text in (README, JAPANESE)
    )
    assert english == japanese
    for document, anchor in (README, "the-questions"), (JAPANESE, "質問"):
        assert f"](#{anchor})" in document
        assert re.search(f"^## {anchor.replace('-', ' ')}$", document, re.MULTILINE | re.IGNORECASE)


def test_both_languages_show_the_same_code() -> None:
    assert sorted(code(README)) == sorted(code(JAPANESE))
