"""The benchmark has the figures of the modules that the template builds, and its page and chart show them."""

import json
from pathlib import Path

import pytest

from scripts import bench

FIGURES = json.loads(bench.FIGURES.read_text())


@pytest.mark.pins
def test_benchmark_figures_are_those_of_the_modules(build, tmp_path: Path) -> None:
    project = bench.project(tmp_path)
    for canister in ("workloads", "hello_backend"):
        measured = bench.measure(bench.build(project, canister))
        figures = bench.find(FIGURES, canister, bench.OURS, "wasm64")
        for name in ("built", "bytes", "gzipped", "instructions"):
            assert measured[name] == pytest.approx(figures[name], rel=0.01), f"run make bench: {canister}, {name}"
    assert bench.versions(project) == FIGURES["versions"], "run make bench"


def test_benchmark_profile_beats_cargos_default() -> None:
    ours, cargos = (bench.find(FIGURES, "workloads", profile, "wasm64") for profile in (bench.OURS, bench.CARGO))
    ratios = bench.compare(ours, cargos)
    assert bench.mean(ours, cargos) <= 0.82
    assert max(ratios.values()) <= 1.03
    assert ratios["module, bytes"] <= 0.91
    assert ratios["module, gzipped"] <= 0.95


def test_benchmark_page_and_chart_show_the_figures() -> None:
    assert bench.PAGE.read_text() == bench.page(FIGURES)
    assert bench.CHART.read_text() == bench.chart(FIGURES)
