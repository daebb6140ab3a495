"""The page and the chart of the benchmark, made from the figures that `bench.py` measured."""

import io
from collections.abc import Iterable, Sequence
from statistics import geometric_mean

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

OURS, CARGO, SMALL = "this template", "cargo's default", 'opt-level "s"'
WORKLOADS = {
    "sort": "sort 200,000 u64",
    "btree_map": "BTreeMap: insert and find 100,000 keys",
    "hash_map": "HashMap: insert and find 100,000 keys",
    "dot_product": "dot product of 1,000,000 f32",
    "integer_loop": "dot product of 1,000,000 u32",
    "byte_search": "find a byte in 10 MiB",
    "format": "format 100,000 numbers",
    "candid_encode": "Candid: encode 10,000 records",
    "candid_decode": "Candid: decode 10,000 records",
    "sha256": "SHA-256 of 1 MiB",
    "greet": "greet: decode, format, encode",
}
"""What the methods of the canister in `tools/workloads` do, by name."""
GOAL = {"instructions, geometric mean": 0.82, "instructions, highest": 1.03, "bytes": 0.91, "gzipped": 0.95}
"""The most that the template's profile may take, in parts of cargo's default on wasm64."""

Module = dict[str, object]


def find(figures: dict, canister: str, profile: str, target: str) -> Module:
    """The row of a module. Raises `StopIteration` where it was not measured."""
    wanted = (canister, profile, target)
    return next(row for row in figures["modules"] if (row["canister"], row["profile"], row["target"]) == wanted)


def compare(module: Module, base: Module) -> dict[str, float]:
    """The ratio of each workload's instructions, of the bytes and of the bytes gzipped, by the names of the page."""
    work = {WORKLOADS[name]: count / base["instructions"][name] for name, count in module["instructions"].items()}
    return work | {f"module, {name}": module[name] / base[name] for name in ("bytes", "gzipped")}


def summary(module: Module, base: Module) -> dict[str, float]:
    """What `GOAL` limits."""
    *work, size, gzipped = compare(module, base).values()
    return dict(zip(GOAL, (geometric_mean(work), max(work), size, gzipped), strict=True))


# The page


def page(figures: dict) -> str:
    """docs/reference/benchmark.md."""
    ours, cargo, narrow, small = (
        find(figures, "workloads", profile, target)
        for profile, target in ((OURS, "wasm64"), (CARGO, "wasm64"), (OURS, "wasm32"), (SMALL, "wasm64"))
    )
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    saved, smaller, slower = summary(ours, cargo), summary(small, ours), compare(small, ours)
    cycles = [2 * count / narrow["instructions"][name] for name, count in ours["instructions"].items()]
    return f"""\
# Benchmark

A canister pays for each instruction. This page compares the release profile of this template with cargo's default, and wasm64 with
wasm32, on work that canisters do. Instructions are counted as the Internet Computer counts them.

With this template's profile, the work takes {saved["instructions, geometric mean"]:.2f} times the instructions of cargo's default (geometric mean), and the module has
{saved["bytes"]:.2f} times the bytes.

![Instructions of eleven workloads and size of the module: this template on wasm64 and on wasm32, as ratios to cargo's default profile](benchmark.svg)

## Workloads

Millions of instructions, and bytes of the module after ic-wasm's `shrink`. The ratio compares the first two columns.

{_table(("", "this template", "cargo's default", "ratio", "this template, wasm32"), _workloads(ours, cargo, narrow))}

The canister is `tools/workloads` in the repository of the template. The preparation of the data is not counted.

## What wasm64 costs

The same source with the same profile takes {geometric_mean(cycles) / 2:.2f} times the instructions on wasm64 (geometric mean), because a load or a store counts
twice there. Each instruction then costs 2 cycles in place of 1. So the same work costs {min(cycles):.1f} to {max(cycles):.1f} times the cycles:

{_table(("", "cycles on wasm32", "cycles on wasm64", "ratio"), _cycles(ours, narrow))}

Millions of cycles on a subnet of 13 nodes. A message costs more than its instructions:

- Each 4 KiB page of the heap whose content a message changes costs 1,000 cycles on wasm32 and 8,000 on wasm64.
- An update message has a fixed price of 5,000,000 cycles on both. A method that does little costs hardly more on wasm64.
- A query costs no cycles.

## Small instead of fast

Add `opt-level = "s"` to `[profile.release]` in Cargo.toml: the module has {smaller["bytes"]:.2f} times the bytes, {smaller["gzipped"]:.2f} times gzipped, and the work takes
{smaller["instructions, geometric mean"]:.2f} times the instructions (geometric mean), up to {max(slower.values()):.2f} times.

## The hello canister

Bytes of the generated canister without timers: as built, after `shrink`, and gzipped after that.

{_table(("profile", "target", "built", "shrunk", "gzipped"), _hello(figures))}

## Measure again

    make bench

writes this page, the chart and `docs/reference/benchmark.json`, in some five minutes. These figures are of {figures["date"]}:
{versions}.

The tests build the canister with the template's profile and compare it with the figures here. What the runtime counted for three other
modules was compared with a replica of October 2025 and was the same to the instruction. A newer replica may have other prices.
"""


def _workloads(ours: Module, cargo: Module, narrow: Module) -> Iterable[Sequence[str]]:
    ratios = compare(ours, cargo)
    for name, title in WORKLOADS.items():
        first, second, third = (_millions(module["instructions"][name]) for module in (ours, cargo, narrow))
        yield title, first, second, f"{ratios[title]:.3f}", third
    yield "geometric mean", "", "", f"**{summary(ours, cargo)['instructions, geometric mean']:.3f}**", ""
    for name in ("bytes", "gzipped"):
        first, second, third = (f"{module[name]:,}" for module in (ours, cargo, narrow))
        yield f"module, {name}", first, second, f"**{ratios[f'module, {name}']:.3f}**", third


def _cycles(ours: Module, narrow: Module) -> Iterable[Sequence[str]]:
    for name, title in WORKLOADS.items():
        low, high = narrow["instructions"][name], 2 * ours["instructions"][name]
        yield title, _millions(low), _millions(high), f"{high / low:.2f}"


def _hello(figures: dict) -> Iterable[Sequence[str]]:
    for row in figures["modules"]:
        if row["canister"] == "hello_backend":
            yield row["profile"], row["target"], *(f"{row[size]:,}" for size in ("built", "bytes", "gzipped"))


def _millions(count: int) -> str:
    return f"{count / 1e6:,.3f}" if count < 1e6 else f"{count / 1e6:,.1f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, with columns of numbers set flush right."""
    lines = [tuple(row) for row in rows]
    numeric = [not any(cell.strip("*")[:1].isalpha() for cell in column) for column in zip(*lines, strict=True)]
    rule = ["---:" if number else "---" for number in numeric]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


# The chart


def chart(figures: dict) -> str:
    """docs/reference/benchmark.svg: a group of bars for each workload and for the size, cargo's default being 1."""
    base = find(figures, "workloads", CARGO, "wasm64")
    colors = {"wasm64": ("#c2410c", "white"), "wasm32": ("#d1d5db", "black")}
    names = [*WORKLOADS.values(), "module, bytes", "module, gzipped"]
    with style.context(["default", {"svg.fonttype": "path", "svg.hashsalt": "benchmark"}]):
        drawing = Figure(figsize=(7.5, 6.2), dpi=72, facecolor="white", layout="constrained")  # 720 px wide
        FigureCanvasAgg(drawing)
        axes = drawing.subplots()
        for row, (target, (color, ink)) in enumerate(colors.items()):
            ratios = compare(find(figures, "workloads", OURS, target), base)
            places = [place + 0.38 * row for place in range(len(names))]
            widths = [ratios[name] for name in names]
            drawn = axes.barh(places, widths, height=0.36, color=color, label=f"{OURS}, {target}")
            axes.bar_label(drawn, fmt="%.2f", padding=-26, fontsize=9, color=ink)
        axes.axvline(1, color="#111827", linewidth=1, label=f"{CARGO}, wasm64")
        axes.set_yticks([place + 0.19 for place in range(len(names))], names)
        axes.set(xlim=(0, 1.1), ylim=(len(names) - 0.2, -0.6))
        axes.set_title("Instructions and size: less is better", loc="left", fontsize=11)
        axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.05), ncols=3, frameon=False, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        output = io.StringIO()
        drawing.savefig(output, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"
