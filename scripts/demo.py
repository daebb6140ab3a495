"""Generate a project, build it for wasm64, call its canister and print the answer: `make hello`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from runtime import Canister
from scripts.workspace import BUILD, ROOT, copy_template, render, share_target


def generate(name: str) -> Path:
    """Render the template as `build/NAME`, in place of what is there, and return that folder.

    Raises `ValueError` if the template refuses the name.
    """
    BUILD.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=BUILD) as folder:
        new = render(copy_template(Path(folder) / "template"), Path(folder) / "project", project_name=name)
        project = BUILD / name
        shutil.rmtree(project, ignore_errors=True)
        new.rename(project)
    share_target(project)
    return project


def main() -> None:
    """Generate, build and call the project that the environment variable `NAME` names."""
    name = os.environ.get("NAME") or "hello"
    try:
        project = generate(name)
    except ValueError as error:
        sys.exit(f"NAME: {error}")
    canister = yaml.safe_load((project / ".copier-answers.yml").read_text())["canister_name"]
    print(f"==> Building build/{name} for wasm64, and the runtime that will call its canister", flush=True)
    helper = subprocess.Popen([ROOT / "scripts/setup.sh", "helper"])
    built = subprocess.run(["bash", "build.sh", canister], cwd=project, check=False)
    if helper.wait() or built.returncode:
        sys.exit("make hello: fix the first error above: the build failed.")
    print("==> Calling greet '(\"ICP\")'", flush=True)
    module = project / f"target/wasm64-unknown-unknown/release/{canister}.wasm"
    print(Canister.install(module).call("greet", '("ICP")'))


if __name__ == "__main__":
    main()
