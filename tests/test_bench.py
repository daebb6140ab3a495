"""The benchmark in docs/ is what was measured, of what the template is now, and meets the goal."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import bench
import pytest
from bench_report import GOAL, OURS, chart, find, page, ratios
from canister import Trapped
from conftest import ROOT

FIGURES = json.loads(bench.FIGURES.read_text())
RENDER = "run .venv/bin/python tools/bench.py --render"


def test_the_page_is_rendered_from_the_figures() -> None:
    assert bench.PAGE.read_text() == page(FIGURES), RENDER


def test_the_chart_is_rendered_from_the_figures() -> None:
    written, rendered = (re.sub(r"(\.\d)\d+", r"\1", text) for text in (bench.CHART.read_text(), chart(FIGURES)))
    assert written == rendered, RENDER  # But for the last digits of a coordinate, which may differ between systems.


def test_the_chart_has_our_point() -> None:
    ids = {element.get("id") for element in ElementTree.parse(bench.CHART).iter()}
    assert "this-template" in ids


@pytest.mark.pins
def test_the_figures_are_of_the_present_template() -> None:
    assert FIGURES["template"] == bench.sources(), "run make bench"


@pytest.mark.parametrize("what", GOAL)
def test_the_goal_is_met(what: str) -> None:
    assert ratios(FIGURES, find(FIGURES, OURS)["shrunk"])[what] <= GOAL[what]


def test_a_profile_takes_the_place_of_the_templates_own(template: Path, tmp_path: Path) -> None:
    manifest, script = tmp_path / "Cargo.toml", tmp_path / "build.sh"
    manifest.write_text("[workspace]\n\n# Ours.\n[profile.release]\nlto = true\n\n[profile.release.package.candid]\n")
    script.write_text((template / "template/build.sh").read_text())
    before = manifest.read_text(), script.read_text()
    with bench.profile(tmp_path, "[profile.release]\nopt-level = 3\n"):
        assert manifest.read_text() == "[workspace]\n\n[profile.release]\nopt-level = 3\n"
        assert "--config=" not in script.read_text()
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    with bench.profile(tmp_path, None):
        assert (manifest.read_text(), script.read_text()) == before


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in (bench.FIGURES, bench.PAGE, bench.CHART)}
    command = [sys.executable, "tools/bench.py"]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": str(tmp_path)}, text=True, capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (1, "make bench: rustup is missing.\n")
    assert before == {file: file.read_bytes() for file in before}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (subprocess.CalledProcessError(1, ["bash", "build.sh"]), "bash build.sh failed; what is wrong stands above."),
        (Trapped("IC0502", "Canister trapped"), "IC0502: Canister trapped"),
        (ValueError("greet does not greet"), "greet does not greet"),
    ],
)
def test_a_failure_is_one_sentence_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, sentence: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(bench, "measure_all", fail)
    monkeypatch.setattr(sys, "argv", ["bench.py"])
    for name in ("FIGURES", "PAGE", "CHART"):
        monkeypatch.setattr(bench, name, tmp_path / name)
    with pytest.raises(SystemExit) as exit_:
        bench.main()
    assert exit_.value.code == f"make bench: {sentence}"
    assert not list(tmp_path.iterdir())
