"""docs/reference/troubleshooting.md: a reader finds each error there."""

import re

from scripts.workspace import ROOT
from tests.support.pages import DOCS

PAGE = re.sub(r"[`\s]+", " ", (DOCS / "reference/troubleshooting.md").read_text())
"""The page on one line, without the marks of code."""
REFUSALS = re.compile(r"^{% macro \w*error\((.*?)^{%- endmacro", re.MULTILINE | re.DOTALL)
"""The macros in includes/ that return an error."""


def test_troubleshooting_has_each_error_of_the_template() -> None:
    errors = re.findall(r'fail "(.*)"', (ROOT / "template/build.sh.jinja").read_text().replace('\\"', '"'))
    for path in (ROOT / "includes").iterdir():
        errors += re.findall(r"^(?:[A-Z]|{{ \").*", "".join(REFUSALS.findall(path.read_text())), re.MULTILINE)
    for path in (ROOT / "template").rglob("*.yml.jinja"):
        errors += re.findall(r"::error.*?::(.*?)\.?\"", path.read_text())
    assert len(errors) > 25
    for error in errors:
        advice = re.split(r"[.:] ", error)[0]
        words = ".+?".join(map(re.escape, re.split(r"{{.*?}}|\$\w+", advice)))
        assert re.search(f" {words}", PAGE), f"Explain in docs/reference/troubleshooting.md: {advice}"


def test_troubleshooting_has_each_code_of_the_runtime() -> None:
    codes = {code for path in (ROOT / "runtime").glob("*.py") for code in re.findall(r'\("(IC\d+)"', path.read_text())}
    assert len(codes) > 7 and not codes - set(re.findall(r"IC\d{4}", PAGE))
