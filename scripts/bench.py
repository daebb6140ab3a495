"""Measure instructions and module sizes, and write docs/reference/benchmark.json, .md and .svg: `make bench`.

The canister in scripts/workloads is built in a generated project with this template's release profile, with cargo's default and
with others. The runtime counts instructions as a replica does. Sizes are bytes.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from statistics import geometric_mean
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree as ET

import jinja2

from runtime import Canister
from scripts.workspace import ROOT, TARGET_DIR, cargo, copy_template, nightly, render, search_path, share_target

FIGURES, PAGE, CHART = (ROOT / f"docs/reference/benchmark.{kind}" for kind in ("json", "md", "svg"))
OURS, CARGO, SMALL = "this template", "cargo's default", 'opt-level "s"'
PROFILES = {OURS: r"\g<0>", SMALL: '\\g<0>opt-level = "s"\n', CARGO: ""}
"""Replacements for the `[profile.release]` block of Cargo.toml, as `re.sub` takes them, by the profile's name on the page."""
MODULES = [
    ("workloads", OURS, "wasm64"),
    ("workloads", CARGO, "wasm64"),
    ("workloads", OURS, "wasm32"),
    ("workloads", SMALL, "wasm64"),
    ("hello_backend", OURS, "wasm64"),
    ("hello_backend", CARGO, "wasm64"),
    ("hello_backend", CARGO, "wasm32"),
]
"""The modules that are measured: canister, profile and target."""
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
"""What the methods of the canister in scripts/workloads do, by name."""
Module = dict[str, Any]
"""A module's entry in benchmark.json."""


def project(folder: Path) -> Path:
    """Generate a project without timers, whose workspace also has the canister `workloads`, and return its folder."""
    template = copy_template(folder / "template")
    made = render(template, folder / "hello", project_name="hello", canister_name="hello_backend", timers=False)
    shutil.copytree(ROOT / "scripts/workloads", made / "src/workloads")
    manifest = made / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("members = [", 'members = ["src/workloads", '))
    share_target(made)
    return made


def build(folder: Path, canister: str, profile: str = OURS, target: str = "wasm64") -> Path:
    """Build a canister with build.sh, or with cargo alone for cargo's default profile, and return its module."""
    triple = f"{target}-unknown-unknown"
    manifest = folder / "Cargo.toml"
    original = manifest.read_text()
    changed, found = re.subn(r"^\[profile\.release\]\n(.+\n)*", PROFILES[profile], original, flags=re.MULTILINE)
    if not found:
        raise ValueError(f"{manifest} has no [profile.release]")
    manifest.write_text(changed)
    try:
        if profile == CARGO:
            options = f"-q -Zbuild-std=std,panic_abort --target {triple} --release -p {canister}"
            cargo("build", *options.split(), cwd=folder)
        else:
            subprocess.run(["bash", "build.sh", canister, triple], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    finally:
        manifest.write_text(original)
    return TARGET_DIR / triple / f"release/{canister}.wasm"


def measure(wasm: Path) -> Module:
    """Return the sizes and the instructions of each workload.

    The sizes are the bytes as built, after `ic-wasm shrink` with and without the names of functions, and gzipped.
    """
    shrunk, named = wasm.with_suffix(".shrunk"), wasm.with_suffix(".named")
    subprocess.run(["ic-wasm", wasm, "-o", named, "shrink", "--keep-name-section"], check=True)
    subprocess.run(["ic-wasm", wasm, "-o", shrunk, "shrink"], check=True)
    data = shrunk.read_bytes()
    sizes = {"built": wasm.stat().st_size, "named": named.stat().st_size, "bytes": len(data)}
    sizes["gzipped"] = len(gzip.compress(data, 9, mtime=0))
    canister = Canister.install(data, wasm_memory_limit="6 GiB")
    methods = [method for method in WORKLOADS if f"canister_update {method}" in canister.exports]
    counts = {method: re.findall(r"[\d_]+", str(canister.update(method)))[0] for method in methods}
    return sizes | {"instructions": {method: int(count) for method, count in counts.items()}}


def measure_all(folder: Path) -> dict[str, Any]:
    """Return what benchmark.json holds."""
    rows = []
    for canister, profile, target in MODULES:
        print(f"==> Building and measuring {canister}: {profile}, {target}", flush=True)
        module = measure(build(folder, canister, profile, target))
        rows.append({"canister": canister, "profile": profile, "target": target} | module)
    return {"date": datetime.now(UTC).date().isoformat(), "versions": versions(folder), "modules": rows}


def versions(folder: Path) -> dict[str, str]:
    """Return the versions that the figures depend on, by name."""
    rustc = subprocess.check_output(["rustup", "run", nightly(), "rustc", "--version"], text=True)
    ic_wasm = subprocess.check_output(["ic-wasm", "--version"], text=True)
    pins = dict(re.findall(r'^(candid|ic-cdk) = "=(.+)"$', (folder / "Cargo.toml").read_text(), re.MULTILINE))
    return pins | {"rustc": rustc.removeprefix("rustc ").strip(), "ic-wasm": ic_wasm.split()[-1]}


def find(figures: dict[str, Any], canister: str, profile: str, target: str) -> Module:
    """Return the entry of a module."""
    wanted = (canister, profile, target)
    return next(row for row in figures["modules"] if (row["canister"], row["profile"], row["target"]) == wanted)


def compare(module: Module, base: Module) -> dict[str, float]:
    """Return what a module takes in parts of `base`: the instructions of each workload, and the sizes."""
    work = {WORKLOADS[name]: count / base["instructions"][name] for name, count in module["instructions"].items()}
    return work | {f"module, {name}": module[name] / base[name] for name in ("bytes", "gzipped")}


def mean(module: Module, base: Module) -> float:
    """Return the geometric mean of the instructions of the workloads, in parts of `base`."""
    return geometric_mean([count / base["instructions"][name] for name, count in module["instructions"].items()])


def page(figures: dict[str, Any]) -> str:
    """Return the text of docs/reference/benchmark.md, which scripts/benchmark.md.jinja describes."""
    ours, cargos, small = (find(figures, "workloads", profile, "wasm64") for profile in (OURS, CARGO, SMALL))
    wasm32 = find(figures, "workloads", OURS, "wasm32")
    cycles = {name: 2 * count / wasm32["instructions"][name] for name, count in ours["instructions"].items()}
    modules = {"ours": ours, "cargo": cargos, "small": small, "wasm32": wasm32}
    ratios = {"ratios": compare(ours, cargos), "smaller": compare(small, ours), "cycles": cycles}
    text = (ROOT / "scripts/benchmark.md.jinja").read_text()
    template = jinja2.Template(text, trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    return template.render(figures | modules | ratios, mean=mean, workloads=WORKLOADS)


def chart(figures: dict[str, Any]) -> str:
    """Return docs/reference/benchmark.svg: a bar for each workload and size, and a line at cargo's default."""
    ours, cargos = (find(figures, "workloads", profile, "wasm64") for profile in (OURS, CARGO))
    ratios = {"all workloads, geometric mean": mean(ours, cargos)} | compare(ours, cargos)
    left, one, top, step = 12, 300, 44, 27  # Pixels: margin, length of the bar 1, head, height of a row.
    bottom = top + step * len(ratios)
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 360 {bottom + 8}", width="440")
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "rx": "6", "fill": "white"})
    texts = ET.SubElement(svg, "g", {"font-family": "system-ui, sans-serif", "font-size": "13"})

    def text(x: int, y: int, words: str, **style: str) -> None:
        ET.SubElement(texts, "text", {"x": str(x), "y": str(y), **style}).text = words

    text(left, 18, "Instructions and size: less is better", **{"font-weight": "bold"})
    text(left + one, 36, "cargo's default profile = 1", **{"text-anchor": "end"})
    for row, (name, ratio) in enumerate(ratios.items()):
        y = top + step * row
        width = f"{one * ratio:.1f}"
        ET.SubElement(texts, "rect", x=str(left), y=str(y), width=width, height=str(step - 4), fill="#fdba74")
        text(left + 5, y + 16, name)
        text(left + one + 8, y + 16, f"{ratio:.2f}", **{"font-weight": "bold"})
    ET.SubElement(svg, "path", d=f"M{left + one} {top - 3}V{bottom}", stroke="black")
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def main() -> None:
    """Measure, then write all three files."""
    os.environ["PATH"] = search_path()
    for name in [name for name in os.environ if "RUSTFLAGS" in name or name.startswith("CARGO_PROFILE_")]:
        del os.environ[name]  # As build.sh does.
    with TemporaryDirectory() as folder:
        figures = measure_all(project(Path(folder)))
    for file, text in ((FIGURES, json.dumps(figures, indent=2) + "\n"), (PAGE, page(figures)), (CHART, chart(figures))):
        file.write_text(text)


if __name__ == "__main__":
    main()
