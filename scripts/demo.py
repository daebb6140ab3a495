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


def main() -> None:
    """Generate or replace the project `build/NAME`, build it and call it. `NAME` is an environment variable."""
    name = os.environ.get("NAME") or "hello"
    project = BUILD / name
    BUILD.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=BUILD) as folder:
        try:
            new = render(copy_template(Path(folder) / "template"), Path(folder) / "project", project_name=name)
        except ValueError as error:
            sys.exit(f"NAME: {error}")
        shutil.rmtree(project, ignore_errors=True)
        new.rename(project)
    share_target(project)
    canister = yaml.safe_load((project / ".copier-answers.yml").read_text())["canister_name"]
    print(f"==> Building build/{name} for wasm64, and the runtime that will call its canister", flush=True)
    helper = subprocess.Popen([ROOT / "scripts/setup.sh", "helper"])
    built = subprocess.run(["bash", "build.sh", canister], cwd=project, check=False)
    if helper.wait() or built.returncode:
        sys.exit("Fix the first error above: the build failed.")
    print("==> Calling greet '(\"ICP\")'", flush=True)
    module = project / f"target/wasm64-unknown-unknown/release/{canister}.wasm"
    print(Canister.install(module).call("greet", '("ICP")'))


if __name__ == "__main__":
    main()
