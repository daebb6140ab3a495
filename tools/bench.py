"""Measure the hello canister that the template makes, and write docs/reference/benchmark.json, .md and .svg.

Modules are built with the template's release profile, cargo's default and others, for wasm64 and wasm32, with timers
and without. Sizes are bytes; instructions are wasmtime's fuel, counted by `canister.py`. Times
are measured too, and kept only as ratios of times of the same run.

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
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench_report import CARGO, OURS, chart, page
from canister import Canister, CanisterError
from hello import say
from render import render
from workspace import BUILD, ROOT, nightly, search_path

FIGURES, PAGE, CHART = (ROOT / f"docs/reference/benchmark.{kind}" for kind in ("json", "md", "svg"))
FOLDER = BUILD / "bench"
WASM64, WASM32 = "wasm64-unknown-unknown", "wasm32-unknown-unknown"
CANISTER = "hello_backend"
LIB = f"src/{CANISTER}/src/lib.rs"
ANSWER = '("Hello, ICP! Powered by {}")'


def _profile(opt_level: str | int, **packages: str | int) -> str:
    """A release profile as TOML: for the smallest module with this opt-level, and others for single packages."""
    levels = [f"package.{package}.opt-level = {json.dumps(level)}\n" for package, level in packages.items()]
    rest = 'lto = true\ncodegen-units = 1\ntrim-paths = "all"\n'
    return f"[profile.release]\nopt-level = {json.dumps(opt_level)}\n{''.join(levels)}{rest}"


PROFILES: dict[str, str | None] = {
    OURS: None,
    CARGO: "",
    'opt-level "s"': _profile("s"),
    'opt-level "z"': _profile("z"),
    "opt-level 2": _profile(2),
    "opt-level 3": _profile(3),
    '"s", candid 3': _profile("s", candid=3),
    '"s", pretty 2': _profile("s", pretty=2),
    '"s", core and alloc 2': _profile("s", core=2, alloc=2),
    '2, candid and canister "s"': _profile(2, candid="s", hello_backend="s"),
}
"""Release profiles as TOML, by the name that the chart shows; None is the template's own, with what its build.sh adds. The
first two are measured for both word sizes, with timers and without; the others for wasm64 with timers."""

COPIER_RUNS = 5
WARM_RUNS = 3
ONE_FILE_TEMPLATE = {
    "copier.yml": "name:\n  type: str\n  default: hello\n",
    "{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers | to_nice_yaml }}",
    "hello.txt.jinja": "Hello, {{ name }}!\n",
}

_PROFILE = re.compile(r"(?:^#.*\n)*^\[profile\.[\s\S]*", re.MULTILINE)
_OPTIONS = re.compile(r" \\\n +(--config=\S+)")
"""What build.sh adds to the profile."""


class Meter(Canister):
    """A canister that adds up the instructions of all messages: one tick of a timer takes several."""

    _total = 0

    def _execute(self, *message: object) -> None:
        super()._execute(*message)
        self._total += self.instructions

    def spent(self) -> int:
        """Instructions since this was last asked, or since the installation began."""
        spent, self._total = self._total, 0
        return spent


def sources() -> dict[str, object]:
    """What the figures are of: the template's release profile and what build.sh adds to it, its pins by name, and a hash
    of the code and its lock, all as in a project with the default answers."""
    with TemporaryDirectory() as folder:
        project = render(Path(folder) / "hello")
        manifest = (project / "Cargo.toml").read_text()
        crate = project / "src/hello_backend"
        files = (project / "Cargo.lock", crate / "Cargo.toml", crate / "src/lib.rs")
        return {
            "profile": _PROFILE.search(manifest)[0],
            "options": _OPTIONS.search((project / "build.sh").read_text())[1],
            "pins": {"nightly": nightly(), **dict(re.findall(r'^([\w-]+) = "=(.+)"$', manifest, re.MULTILINE))},
            "sha256": sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
        }


def tool_versions() -> dict[str, str]:
    """Of all that is not pinned by the template, by name."""
    rustc = subprocess.check_output(["rustup", "run", nightly(), "rustc", "--version"], text=True)
    ic_wasm = subprocess.check_output(["ic-wasm", "--version"], text=True)
    packages = {name: version(name) for name in ("wasmtime", "copier")}
    tools = {
        "rustc": rustc.removeprefix("rustc ").strip(),
        "ic-wasm": ic_wasm.split()[-1],
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }
    return tools | packages


# Modules


def project(timers: bool, target_dir: Path) -> Path:
    """A project rendered anew in `build/bench`, which builds into `target_dir`."""
    folder = FOLDER / ("timers" if timers else "plain")
    shutil.rmtree(folder, ignore_errors=True)
    render(folder, project_name="hello", canister_name=CANISTER, timers=timers)
    target_dir.mkdir(parents=True, exist_ok=True)
    (folder / "target").symlink_to(target_dir)
    return folder


@contextmanager
def profile(folder: Path, text: str | None) -> Iterator[None]:
    """Give the project this release profile for a while; None leaves it its own."""
    files = folder / "Cargo.toml", folder / "build.sh"
    originals = [file.read_text() for file in files]
    if text is not None:
        files[0].write_text(_PROFILE.sub("", originals[0]) + text)
        files[1].write_text(_OPTIONS.sub("", originals[1]))
    yield
    for file, original in zip(files, originals, strict=True):
        file.write_text(original)


def build(folder: Path, target: str) -> Path:
    """Run the project's build.sh, showing what it prints only where it fails, and return the module."""
    command = ["bash", "build.sh", CANISTER, target]
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout)
        done.check_returncode()
    return folder / f"target/{target}/release/{CANISTER}.wasm"


def instructions(wasm: Path, timers: bool) -> dict[str, int]:
    """What each step takes. Raises `ValueError` where the canister does not do what it should."""
    meter = Meter.install(wasm, wasm_memory_limit="6 GiB")
    taken = {"install": meter.spent()}
    for step in ("first greet", "second greet"):
        if meter.call("greet", '("ICP")') != ANSWER.format(f"wasm{meter.word_bits}"):
            raise ValueError("the module's greet does not greet")
        taken[step] = meter.spent()
    if timers:
        meter.advance(60)
        taken["tick"] = meter.spent()
        if meter.call("ticks") != "(1 : nat64)":
            raise ValueError("the module's timer does not tick")
        meter.spent()
    meter.upgrade()
    return taken | {"upgrade": meter.spent()}


def measure(wasm: Path, timers: bool) -> dict[str, object]:
    data = wasm.read_bytes()
    size = {"bytes": len(data), "gzip": len(gzip.compress(data, 9, mtime=0))}
    return size | {"instructions": instructions(wasm, timers)}


def modules() -> list[dict[str, object]]:
    """A row for each module: its profile, target, whether it has timers, and the figures before and after `shrink`."""
    folders = {timers: project(timers, FOLDER / "target") for timers in (True, False)}
    wanted = [(name, target, timers) for name in (OURS, CARGO) for target in (WASM64, WASM32) for timers in folders]
    wanted += [(name, WASM64, True) for name in PROFILES if name not in (OURS, CARGO)]
    shrunk, rows = FOLDER / "shrunk.wasm", []
    for name, target, timers in wanted:
        say(f"Building and measuring: {name}, {target[:6]}, {'timers' if timers else 'no timers'}")
        with profile(folders[timers], PROFILES[name]):
            raw = build(folders[timers], target)
        subprocess.run(["ic-wasm", raw, "-o", shrunk, "shrink"], check=True)
        row = {"profile": name, "target": target[:6], "timers": timers}
        rows.append(row | {"raw": measure(raw, timers), "shrunk": measure(shrunk, timers)})
    return rows


# Times


def seconds(action: Callable[..., object], *args: object) -> float:
    start = time.perf_counter()
    action(*args)
    return time.perf_counter() - start


def build_times() -> list[dict[str, object]]:
    """Cold and warm builds, in parts of the cold one of cargo's default profile for wasm64. The crates are fetched."""
    times = []
    for name, target in ((CARGO, WASM64), (OURS, WASM64), (CARGO, WASM32)):
        say(f"Timing the build: {name}, {target[:6]}")
        with TemporaryDirectory(dir=FOLDER) as target_dir:
            folder = project(True, Path(target_dir))

            def touch_and_build(folder: Path = folder, target: str = target) -> None:
                (folder / LIB).touch()
                build(folder, target)

            with profile(folder, PROFILES[name]):
                cold = seconds(build, folder, target)
                warm = median(seconds(touch_and_build) for _ in range(WARM_RUNS))
        times.append({"profile": name, "target": target[:6], "cold": cold, "warm": warm})
    unit = times[0]["cold"]
    return [row | {key: round(row[key] / unit, 3) for key in ("cold", "warm")} for row in times]


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=folder, check=True)


def commit(folder: Path, tag: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", tag)
    git(folder, "tag", tag)


def templates(folder: Path) -> list[Path]:
    """This template and one of one file, as repositories of two versions; the newer one says a line more."""
    ours, one_file = folder / "ours", folder / "one-file"
    git(ROOT, "clone", "--quiet", "--no-tags", "--no-checkout", str(ROOT), str(ours))
    for part in ("includes", "template"):
        shutil.copytree(ROOT / part, ours / part)
    shutil.copy(ROOT / "copier.yml", ours)
    git(folder, "init", "--quiet", str(one_file))
    for file, text in ONE_FILE_TEMPLATE.items():
        (one_file / file).write_text(text)
    for template, file in ((ours, "template/.gitignore"), (one_file, "hello.txt.jinja")):
        commit(template, "v9999.0.0")
        with (template / file).open("a") as text:
            text.write("/wasm\n")
        commit(template, "v9999.1.0")
        git(template, "gc", "--quiet")
    return [ours, one_file]


def copier_times() -> dict[str, float]:
    """`copier copy` and `copier update` of this template, in parts of the same for a template of one file.

    Medians of runs that take turns.
    """
    say("Timing Copier")
    taken: dict[tuple[str, str], list[float]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["COPIER_SETTINGS_PATH"] = str(folder / "settings.yml")
        (folder / "settings.yml").write_text("{}")
        for run, template in product(range(COPIER_RUNS), templates(folder)):
            old, new = (folder / f"{template.name}-{version}-{run}" for version in ("old", "new"))
            copier("copy", "--defaults", "--vcs-ref=v9999.0.0", template, old)
            git(old, "init", "--quiet")
            commit(old, "start")
            for what, arguments in (("copy", (template, new)), ("update", (old,))):
                times = taken.setdefault((template.name, what), [])
                times.append(seconds(copier, what, "--defaults", *arguments))
    medians = {key: median(times) for key, times in taken.items()}
    return {what: round(medians["ours", what] / medians["one-file", what], 2) for what in ("copy", "update")}


def copier(*args: object) -> None:
    subprocess.run([sys.executable, "-m", "copier", args[0], "--quiet", *map(str, args[1:])], check=True)


# All of it


def measure_all() -> dict[str, object]:
    """The figures, as docs/reference/benchmark.json has them."""
    identity = {f"GIT_{who}_{key}": "owner@example.org" for who in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    os.environ |= identity | {"GIT_CONFIG_GLOBAL": os.devnull, "PATH": search_path()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": tool_versions(),
        "template": sources(),
        "modules": modules(),
        "builds": build_times(),
        "copier": copier_times(),
    }


def main() -> None:
    """The command line; see `--help`. Nothing is written unless all of it succeeds."""
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--render",
        action="store_true",
        help="measure nothing: write the page and the chart anew from docs/reference/benchmark.json, after a change of their text or layout",
    )
    try:
        figures = json.loads(FIGURES.read_text()) if parser.parse_args().render else measure_all()
    except FileNotFoundError as error:
        sys.exit(f"make bench: {error.filename} is missing.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"make bench: {shlex.join(map(str, error.cmd))} failed; what is wrong stands above.")
    except (CanisterError, ValueError) as error:
        sys.exit(f"make bench: {error}")
    texts = {FIGURES: json.dumps(figures, indent=2) + "\n", PAGE: page(figures), CHART: chart(figures)}
    for file, text in texts.items():
        file.write_text(text)


if __name__ == "__main__":
    main()
