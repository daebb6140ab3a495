"""The benchmark shows what was measured, and its figures are those of the present template."""

import json
import re
import subprocess
import sys
from pathlib import Path

import bench
import pytest
from bench_report import CARGO, GOAL, OURS, chart, find, page, summary
from canister import Trapped

FIGURES = json.loads(bench.FIGURES.read_text())
OWN = find(FIGURES, "workloads", OURS, "wasm64")
RENDER = "run .venv/bin/python tools/bench.py --render"


def test_the_page_is_rendered_from_the_figures() -> None:
    assert bench.PAGE.read_text() == page(FIGURES), RENDER


def test_the_chart_is_rendered_from_the_figures() -> None:
    written, rendered = (re.sub(r"(\.\d)\d+", r"\1", text) for text in (bench.CHART.read_text(), chart(FIGURES)))
    assert written == rendered, RENDER  # But for the last digits of a coordinate, which may differ between systems.


@pytest.mark.parametrize("what", GOAL)
def test_the_profile_meets_its_goal(what: str) -> None:
    assert summary(OWN, find(FIGURES, "workloads", CARGO, "wasm64"))[what] <= GOAL[what]


@pytest.mark.rust
@pytest.mark.pins
def test_the_modules_take_what_the_figures_say(tmp_path: Path) -> None:
    project = bench.project(tmp_path / "hello")
    for canister in ("workloads", "hello_backend"):
        figures = find(FIGURES, canister, OURS, "wasm64")
        measured = bench.measure(bench.build(project, canister))
        for name in ("built", "bytes", "gzipped", "instructions"):
            assert measured[name] == pytest.approx(figures[name], rel=0.01), "run make bench"
    here, there = (dict(versions, zlib="") for versions in (bench.versions(project), FIGURES["versions"]))
    assert here == there, "run make bench"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (FileNotFoundError(2, "No such file", "ic-wasm"), "ic-wasm is missing."),
        (subprocess.CalledProcessError(1, ["bash", "build.sh"]), "bash build.sh failed; the reason is above."),
        (Trapped("IC0502", "Canister trapped"), "IC0502: Canister trapped"),
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
