"""The page and the chart of the benchmark, made from the figures that `bench.py` measured."""

import io
from collections.abc import Iterable, Sequence

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

OURS, CARGO = "this template", "cargo's default"
GOAL = {"bytes": 0.50, "gzip": 0.68, "second greet": 0.96}
"""The most that the template's module may have after `shrink`, in parts of cargo's default profile before it."""

MESSAGE_CYCLES, CYCLES = 5_000_000, {"wasm32": 1, "wasm64": 2}
"""What the Internet Computer charges for an update message, and for each instruction in it, on a subnet of 13 nodes
(`update_message_execution_fee`, `ten_update_instructions_execution_fee` and `WASM64_INSTRUCTION_COST_OVERHEAD` in the
replica's rs/config/src/subnet_config.rs)."""

_NAMES = {"bytes": "bytes", "gzip": "bytes, gzipped", "second greet": "instructions of the second `greet`"}
_FRONTIER_HEAD = ("profile", "bytes", "gzipped", "`greet`", "bytes, ratio", "gzipped, ratio", "`greet`, ratio")
_STEPS = {
    step: step.replace("greet", "`greet`") for step in ("install", "first greet", "second greet", "tick", "upgrade")
}
_HEAD = ("profile", "target", "timers", "built", "shrunk", "gzipped", *_STEPS.values())
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_AROUND = [(x * far, y * far) for far in (1, 2.5) for x, y in _SIDES]
_OTHER, _BEST, _BOX, _INK = "#6b7280", "#c2410c", "#d1fae5", "#111827"


# Figures


def find(figures: dict, profile: str, target: str = "wasm64", timers: bool = True) -> dict:
    """The row of a module. Raises `StopIteration` where it was not measured."""
    wanted = (profile, target, timers)
    return next(row for row in figures["modules"] if (row["profile"], row["target"], row["timers"]) == wanted)


def figure(measured: dict, what: str) -> int | None:
    """One figure of a module, by the names of `GOAL` or the steps of its life; None for a tick without timers."""
    return measured[what] if what in measured else measured["instructions"].get(what)


def ratios(figures: dict, measured: dict) -> dict[str, float]:
    """What `GOAL` limits, of a module with timers for wasm64."""
    base = find(figures, CARGO)["raw"]
    return {what: figure(measured, what) / figure(base, what) for what in GOAL}


def points(figures: dict) -> dict[str, dict[str, float]]:
    """The ratios of each module of the chart by its label, ours first; a profile that is the same as ours is not shown."""
    rows = [row for row in figures["modules"] if row["target"] == "wasm64" and row["timers"]]
    named = {row["profile"]: ratios(figures, row["shrunk"]) for row in rows}
    ours = named.pop(OURS)
    named[f"{CARGO}, shrunk"] = named.pop(CARGO)
    named[CARGO] = ratios(figures, find(figures, CARGO)["raw"])
    return {OURS: ours} | {name: ratio for name, ratio in named.items() if ratio != ours}


# The page


def page(figures: dict) -> str:
    """docs/reference/benchmark.md."""
    pins = {name: figures["template"]["pins"][name] for name in ("ic-cdk", "ic-cdk-timers", "candid")}
    versions = ", ".join(f"{name} {version}" for name, version in (pins | figures["versions"]).items())
    builds = [[row["profile"], row["target"], f"{row['cold']:.1f}", f"{row['warm']:.2f}"] for row in figures["builds"]]
    return f"""\
# Benchmark

What wasm64 costs against wasm32 stands [below](#what-wasm64-costs). First, what the release profile gains in the module's size and in
instructions: the hello canister with timers for wasm64, as this template builds it and after ic-wasm's `shrink`, against the same
source under cargo's default release profile without `shrink`:

{_table(("", OURS, CARGO, "ratio", "goal, at most"), _goals(figures))}

![Size and instructions of the hello canister under several release profiles](benchmark.svg)

The release profile of the template, and what build.sh adds to it for the standard library:

```toml
{figures["template"]["profile"].rstrip()}
```

```text
{figures["template"]["options"]}
```

## What wasm64 costs

The same source under the template's profile, with timers, after `shrink`:

{_table(("", "wasm32", "wasm64", "ratio"), _wasm64(figures))}

{_wasm64_in_words(figures)}

## Size and instructions

Bytes as built, after `shrink`, and gzipped after that, by zlib at level 9; instructions after `shrink`.

{_table(_HEAD, (_row(row) for row in figures["modules"] if row["profile"] in (OURS, CARGO)))}

Both calls of `greet` are queries, whose changes to the heap are dropped: the second finds what the first found. A tick, here the first,
is three messages: `canister_global_timer`, the call of ic-cdk-timers to the canister itself, and its reply. Without timers the canister
has neither `canister_init` nor `canister_post_upgrade`, and each `greet` pays for the first allocations, which `canister_init` else makes.

## Other profiles

For wasm64, with timers, after `shrink`; ratios to cargo's default without `shrink`, as above. All but
cargo's default have `lto = true` and one codegen unit. They stand in `tools/bench.py`.

{_table(_FRONTIER_HEAD, _frontier(figures))}

## Time

Builds from an empty target folder, with the crates already fetched, and after only lib.rs was touched (the median of several). 1.0 is
cargo's default for wasm64 from an empty folder. Each compiles the standard library too. One cold build of each: what else the
machine does moves these figures by a fifth.

{_table(("profile", "target", "empty folder", "lib.rs touched"), builds)}

`copier copy` of this template takes {figures["copier"]["copy"]:.1f} times as long as that of a template of one file, `copier update` to
a version with one line more {figures["copier"]["update"]:.1f} times: medians of runs that took turns, the start of Copier included.

## Measure again

    make bench

writes this page, the chart and `docs/reference/benchmark.json` anew; `.venv/bin/python tools/bench.py --render` writes the page and the chart
from the figures that are there. These are of {figures["date"]}:
{versions}.

Instructions are wasmtime's fuel, near to the replica's count but not the same: the replica has prices of its own for some
instructions and for calls of the System API. Not measured either: memory, the replica's time, and what dfx and icp-cli add to the
module, the text of its interface.
Under cargo's default profile a module contains paths of its builder, so its size differs a little from one machine to another.
"""


def _goals(figures: dict) -> Iterable[Sequence[str]]:
    ours, base = find(figures, OURS)["shrunk"], find(figures, CARGO)["raw"]
    for what, ratio in ratios(figures, ours).items():
        yield (
            _NAMES[what],
            f"{figure(ours, what):,}",
            f"{figure(base, what):,}",
            f"**{ratio:.3f}**",
            f"{GOAL[what]:.2f}",
        )


def _wasm64(figures: dict) -> Iterable[Sequence[str]]:
    narrow, wide = (find(figures, OURS, target)["shrunk"] for target in CYCLES)
    names = {"bytes": "bytes", "gzip": "bytes, gzipped"}
    names |= {step: f"instructions, {shown}" for step, shown in _STEPS.items()}
    rows = {name: (figure(narrow, what), figure(wide, what)) for what, name in names.items()}
    rows["cycles for the instructions of the second `greet`"] = _cycles(figures)
    rows["cycles of a message with them"] = tuple(MESSAGE_CYCLES + cycles for cycles in _cycles(figures))
    for name, (low, high) in rows.items():
        yield name, f"{low:,}", f"{high:,}", f"{high / low:.3f}"


def _cycles(figures: dict) -> tuple[int, ...]:
    """For the instructions of a second greet, on wasm32 and on wasm64."""
    modules = {target: find(figures, OURS, target)["shrunk"] for target in CYCLES}
    return tuple(price * figure(modules[target], "second greet") for target, price in CYCLES.items())


def _wasm64_in_words(figures: dict) -> str:
    narrow, wide = (find(figures, OURS, target)["shrunk"] for target in CYCLES)
    size, gzipped, greet = (f"{figure(wide, what) / figure(narrow, what):.2f}" for what in GOAL)
    low, high = _cycles(figures)
    message = 100 * ((MESSAGE_CYCLES + high) / (MESSAGE_CYCLES + low) - 1)
    return f"""\
So the module has {size} times the bytes on wasm64, {gzipped} times gzipped, and `greet` takes {greet} times the instructions. On wasm64 the
Internet Computer charges each instruction twice: {high / low:.2f} times the cycles. A message also costs a fixed
{MESSAGE_CYCLES:,} cycles, so `greet` as an update would cost {message:.1f} % more; code that computes for long pays nearly the whole
factor. (Prices of a subnet of 13 nodes, from rs/config/src/subnet_config.rs in the replica. What is charged for receiving a message
comes on top; a query costs no cycles.)"""


def _row(row: dict) -> Sequence[str]:
    sizes = row["raw"]["bytes"], row["shrunk"]["bytes"], row["shrunk"]["gzip"]
    steps = (figure(row["shrunk"], step) for step in _STEPS)
    numbers = ("" if number is None else f"{number:,}" for number in (*sizes, *steps))
    return row["profile"], row["target"], "yes" if row["timers"] else "no", *numbers


def _frontier(figures: dict) -> Iterable[Sequence[str]]:
    for row in figures["modules"]:
        if row["target"] == "wasm64" and row["timers"]:
            numbers = (f"{figure(row['shrunk'], what):,}" for what in GOAL)
            yield row["profile"], *numbers, *(f"{ratio:.3f}" for ratio in ratios(figures, row["shrunk"]).values())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, with columns of numbers set flush right."""
    lines = [tuple(row) for row in rows]
    numeric = [not any(cell.strip("*")[:1].isalpha() for cell in column) for column in zip(*lines, strict=True)]
    rule = ["---:" if number else "---" for number in numeric]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


# The chart


def chart(figures: dict) -> str:
    """docs/reference/benchmark.svg: size against instructions, with the goal as a box, and below it the gzipped size."""
    named = points(figures)
    bars = 0.6 + 0.25 * len(named)
    with style.context(["default", {"svg.fonttype": "path", "svg.hashsalt": "benchmark"}]):
        drawing = Figure(figsize=(7.5, 3.9 + bars), dpi=72, facecolor="white", layout="constrained")  # 720 px wide
        drawing.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
        canvas = FigureCanvasAgg(drawing)
        upper, lower = drawing.subplots(2, height_ratios=(3.9, bars))
        _scatter(upper, named)
        _bars(lower, named)
        canvas.draw()
        _label(upper, named, canvas)
        output = io.StringIO()
        drawing.savefig(output, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def _scatter(axes: Axes, named: dict[str, dict[str, float]]) -> None:
    width, height = GOAL["bytes"], GOAL["second greet"]
    sizes, steps = ([ratio[what] for ratio in named.values()] for what in ("bytes", "second greet"))
    left, right, bottom, top = min(sizes) - 0.08, max(sizes) + 0.06, min(steps) - 0.06, max(steps) + 0.06
    axes.set(
        xlim=(left, right),
        ylim=(bottom, top),
        xlabel=f"bytes, {CARGO} = 1",
        ylabel=f"instructions of greet, {CARGO} = 1",
    )
    axes.set_title("Size and instructions: further left is smaller, further down is faster", loc="left", fontsize=11)
    axes.add_patch(Rectangle((left, bottom), width - left, height - bottom, color=_BOX, zorder=0))
    axes.annotate("goal", (left, bottom), (5, 5), textcoords="offset points", color="#047857")
    for name, ratio in named.items():
        (point,) = axes.plot(ratio["bytes"], ratio["second greet"], **_style(name), linestyle="none")
        point.set_gid(name.replace(" ", "-").replace('"', ""))
    _plain(axes)


def _bars(axes: Axes, named: dict[str, dict[str, float]]) -> None:
    names = sorted(named, key=lambda name: named[name]["gzip"])
    for place, name in enumerate(names):
        ratio = named[name]["gzip"]
        axes.barh(place, ratio, height=0.7, color=_style(name)["color"])
        axes.annotate(f"{ratio:.2f}", (ratio, place), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(names)), names)
    axes.get_yticklabels()[names.index(OURS)].set(color=_BEST, fontweight="bold")
    axes.axvspan(0, GOAL["gzip"], color=_BOX, zorder=0)
    axes.set(xlim=(0, 1.08), ylim=(len(names) - 0.5, -0.5), xlabel=f"gzipped bytes, {CARGO} = 1")
    _plain(axes)
    axes.grid(False)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)


def _style(name: str) -> dict[str, object]:
    if name == OURS:
        return {"color": _BEST, "marker": "*", "markersize": 17, "zorder": 3}
    return {"color": _OTHER, "marker": "o", "markersize": 7}


def _label(axes: Axes, named: dict[str, dict[str, float]], canvas: FigureCanvasAgg) -> None:
    """Write each point's name beside it: at the first place around it that meets no other name or point."""
    renderer = canvas.get_renderer()
    frame = axes.get_window_extent(renderer)
    taken = [line.get_window_extent(renderer) for line in axes.lines]
    taken += [text.get_window_extent(renderer) for text in axes.texts]
    for name, ratio in named.items():
        point = ratio["bytes"], ratio["second greet"]
        color = {"color": _BEST, "fontweight": "bold"} if name == OURS else {"color": _INK}
        gap = _style(name)["markersize"] / 2 + 3
        for x, y in _AROUND:
            sides = {
                "ha": "left" if x > 0 else "right" if x else "center",
                "va": "bottom" if y > 0 else "top" if y else "center",
            }
            text = axes.annotate(name, point, (gap * x, gap * y), textcoords="offset points", **sides, **color)
            box = text.get_window_extent(renderer)
            fits = frame.x0 < box.x0 and box.x1 < frame.x1 and not any(box.overlaps(other) for other in taken)
            if fits or (x, y) == _AROUND[-1]:  # Without room it overlaps, where that is seen.
                break
            text.remove()
        taken.append(box)
