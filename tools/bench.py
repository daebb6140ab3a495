"""Measure the instructions of real work under the template's release profile; write docs/reference/benchmark.json, .md, .svg.

The canister in `tools/workloads` is built in a generated project, by the template's release profile, by cargo's default and
others. Sizes are bytes; instructions are counted as the replica does.

    python tools/bench.py            measure, then write all three files
    python tools/bench.py --render   write the page and the chart from docs/reference/benchmark.json
"""

import argparse
import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

from bench_report import CARGO, OURS, SMALL, WORKLOADS, chart, page
from canister import Canister, CanisterError
from hello import say
from render import render
from workspace import BUILD, ROOT, TARGET_DIR, cargo, nightly, search_path

FIGURES, PAGE, CHART = (ROOT / f"docs/reference/benchmark.{kind}" for kind in ("json", "md", "svg"))
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
"""What is measured: a canister, its profile and its target."""


def project(folder: Path) -> Path:
    """Generate a project without timers, whose workspace also has the canister `workloads`."""
    shutil.rmtree(folder, ignore_errors=True)
    render(folder, project_name="hello", canister_name="hello_backend", timers=False)
    shutil.copytree(ROOT / "tools/workloads", folder / "src/workloads")
    manifest = folder / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("members = [", 'members = ["src/workloads", '))
    TARGET_DIR.mkdir(exist_ok=True)
    (folder / "target").symlink_to(TARGET_DIR)
    return folder


def build(folder: Path, canister: str, profile: str = OURS, target: str = "wasm64") -> Path:
    """Build a canister of the project and return the module: by build.sh, or with cargo's defaults by cargo alone."""
    triple = f"{target}-unknown-unknown"
    manifest = folder / "Cargo.toml"
    original = manifest.read_text()
    changed, found = re.subn(r"^\[profile\.release\]\n(.+\n)*", PROFILES[profile], original, flags=re.MULTILINE)
    if not found:
        raise ValueError(f"{manifest} has no [profile.release]")
    manifest.write_text(changed)
    try:
        if profile == CARGO:
            cargo(
                *f"build -q -Zbuild-std=std,panic_abort --target {triple} --release -p {canister}".split(), cwd=folder
            )
        else:
            command = ["bash", "build.sh", canister, triple]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    finally:
        manifest.write_text(original)
    return TARGET_DIR / triple / f"release/{canister}.wasm"


def measure(wasm: Path) -> dict[str, object]:
    """The module's bytes as built, after `ic-wasm shrink` and then gzipped; and the instructions of each workload it has."""
    shrunk = wasm.with_suffix(".shrunk")
    subprocess.run(["ic-wasm", wasm, "-o", shrunk, "shrink"], check=True)
    data = shrunk.read_bytes()
    sizes = {"built": wasm.stat().st_size, "bytes": len(data), "gzipped": len(gzip.compress(data, 9, mtime=0))}
    canister = Canister.install(data, wasm_memory_limit="6 GiB")
    methods = [method for method in WORKLOADS if f"canister_update {method}" in canister.exports]
    return sizes | {"instructions": {method: _number(canister.update(method)) for method in methods}}


def _number(reply: str | bytes) -> int:
    """The number in a reply such as "(15_991 : nat64)"."""
    return int(re.search(r"[\d_]+", str(reply))[0])


def measure_all() -> dict[str, object]:
    """The figures, as docs/reference/benchmark.json has them."""
    os.environ["PATH"] = search_path()
    for name in [name for name in os.environ if "RUSTFLAGS" in name or name.startswith("CARGO_PROFILE_")]:
        del os.environ[name]  # As build.sh does.
    folder = project(BUILD / "bench")
    rows = []
    for canister, profile, target in MODULES:
        say(f"Building and measuring {canister}: {profile}, {target}")
        row = {"canister": canister, "profile": profile, "target": target}
        rows.append(row | measure(build(folder, canister, profile, target)))
    return {"date": datetime.now(UTC).date().isoformat(), "versions": versions(folder), "modules": rows}


def versions(folder: Path) -> dict[str, str]:
    """The versions of what the figures depend on, by name."""
    rustc = subprocess.check_output(["rustup", "run", nightly(), "rustc", "--version"], text=True)
    ic_wasm = subprocess.check_output(["ic-wasm", "--version"], text=True)
    pins = re.findall(r'^(candid|ic-cdk) = "=(.+)"$', (folder / "Cargo.toml").read_text(), re.MULTILINE)
    tools = {
        "rustc": rustc.removeprefix("rustc ").strip(),
        "ic-wasm": ic_wasm.split()[-1],
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }
    return dict(pins) | tools


def main() -> None:
    """The command line; see `--help`. Nothing is written unless all of it succeeds."""
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--render",
        action="store_true",
        help="measure nothing: write the page and the chart from docs/reference/benchmark.json",
    )
    try:
        figures = json.loads(FIGURES.read_text()) if parser.parse_args().render else measure_all()
    except FileNotFoundError as error:
        sys.exit(f"make bench: {error.filename} is missing.")
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stderr or "")
        sys.exit(f"make bench: {shlex.join(map(str, error.cmd))} failed; the reason is above.")
    except (CanisterError, ValueError) as error:
        sys.exit(f"make bench: {error}")
    texts = {FIGURES: json.dumps(figures, indent=2) + "\n", PAGE: page(figures), CHART: chart(figures)}
    for file, text in texts.items():
        file.write_text(text)


if __name__ == "__main__":
    main()
