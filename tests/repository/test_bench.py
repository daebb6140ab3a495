"""The benchmark's figures are those of the modules that the template builds, and its page and chart show them."""

import json
from pathlib import Path

import pytest

from scripts import bench

FIGURES = json.loads(bench.FIGURES.read_text())


@pytest.fixture(scope="module")
def built(build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of the benchmark, with both of its canisters built by this template's profile."""
    return bench.project(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def workloads(built: Path) -> bench.Module:
    """The measured module of the workloads, built with this template's profile."""
    return bench.measure(bench.build(built, "workloads"))


@pytest.mark.pins
def test_benchmark_figures_are_those_of_the_modules(built: Path, workloads: bench.Module) -> None:
    hello = bench.measure(bench.build(built, "hello_backend"))
    for canister, measured in (("workloads", workloads), ("hello_backend", hello)):
        figures = bench.find(FIGURES, canister, bench.OURS, "wasm64")
        for name in ("built", "bytes", "gzipped", "instructions"):
            assert measured[name] == pytest.approx(figures[name], rel=0.01), f"run make bench: {canister}, {name}"
    assert bench.versions(built) == FIGURES["versions"], "run make bench"


@pytest.mark.pins
def test_benchmark_profile_beats_cargos_default(workloads: bench.Module) -> None:
    cargos = bench.find(FIGURES, "workloads", bench.CARGO, "wasm64")
    ratios = bench.compare(workloads, cargos)
    assert bench.mean(workloads, cargos) <= 0.82
    assert max(ratios.values()) <= 1.03
    assert ratios["module, bytes"] <= 0.91
    assert ratios["module, gzipped"] <= 0.95


def test_benchmark_page_and_chart_show_the_figures() -> None:
    assert bench.PAGE.read_text() == bench.page(FIGURES)
    assert bench.CHART.read_text() == bench.chart(FIGURES)
