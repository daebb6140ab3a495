"""Generate a project from the work tree, build it for wasm64, run the module and print what it answers."""

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from canister import Canister
from render import render
from workspace import BUILD, ROOT, TARGET_DIR, native_tool


def fingerprint(name: str) -> str:
    """A hash of all that a project of this name is rendered from."""
    digest = hashlib.sha256(name.encode())
    for path in [ROOT / "copier.yml", *sorted(ROOT.glob("includes/**/*")), *sorted(ROOT.glob("template/**/*"))]:
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def generate(name: str) -> Path:
    """Render `build/<name>`, unless it was rendered from this very template before.

    Its target folder is the shared one. Raises `ValueError` for a name that the template refuses.
    """
    project, stamp, staging = BUILD / name, BUILD / f".{name}.sha256", BUILD / ".new"
    if project.is_dir() and stamp.is_file() and stamp.read_text() == fingerprint(name):
        return project
    say(f"Generating build/{name}")
    shutil.rmtree(staging, ignore_errors=True)
    render(staging, project_name=name)
    TARGET_DIR.mkdir(exist_ok=True)
    (staging / "target").symlink_to(TARGET_DIR)
    shutil.rmtree(project, ignore_errors=True)
    staging.rename(project)
    stamp.write_text(fingerprint(name))
    return project


def say(step: str) -> None:
    """Tell on standard output what is being done."""
    print(f"==> {step}", flush=True)


def main() -> None:
    """Go through the steps for the project that the environment variable `NAME` names."""
    name = os.environ.get("NAME") or "hello"
    try:
        project = generate(name)
    except ValueError as error:
        sys.exit(f"NAME: {error}")
    canister_name = yaml.safe_load((project / ".copier-answers.yml").read_text())["canister_name"]
    say(f"Building {canister_name} for wasm64, and the runtime that will run it")
    with ThreadPoolExecutor() as pool:
        runtime = pool.submit(native_tool)
        built = subprocess.run(["bash", "build.sh", canister_name], cwd=project, check=False)
    if built.returncode or runtime.exception():
        sys.exit("make hello: the build failed; what is wrong stands above.")
    say("Calling greet '(\"ICP\")'")
    module = project / f"target/wasm64-unknown-unknown/release/{canister_name}.wasm"
    print(Canister.install(module).call("greet", '("ICP")'))


if __name__ == "__main__":
    main()
