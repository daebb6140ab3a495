"""Existing projects: the template adds its files, changes no others, and prints the edits of each canister."""

import json
import re
from pathlib import Path

import pytest

from scripts.workspace import ROOT
from tests.support.git import commit, git
from tests.support.projects import WASM, copier_command, run
from tests.support.updates import NEWEST, NEXT, conflicts, files, update

Said = pytest.CaptureFixture[str]
CI, TEMPLATE = ".github/workflows/ci.yml", ".github/workflows/template.yml"
OWN = {".copier-answers.yml", "build.sh", "rust-toolchain.toml"}
"""The files of the template that each existing project gets."""
MINE = """.gitignore .icp/data/mappings/ic.ids.json Cargo.lock Cargo.toml README.md canister_ids.json dfx.json
src/hello_backend/Cargo.toml src/hello_backend/hello_backend.did src/hello_backend/src/lib.rs"""
"""Files of an existing project. They have the names of a generated project's files, and the ids of a live canister."""
DFX = """{"canisters": { "hello_backend": {"type": "rust", "package": "hello_backend", "candid": "a.did"},
"many": {"candid": "a.did", "crate": "second-bin", "package": "many-bins", "post_install": "true", "type": "rust"},
"own": {"type": "custom", "build": ["cargo test -p a", "cargo build -p the-own"], "wasm": "a.wasm", "metadata": []},
"two": {"type": "custom", "build": "cargo build -p a -p the-two", "wasm": "target/wasm32-unknown-unknown/release/the_two.wasm"},
"gz": {"type": "custom", "shrink": false, "wasm": "target/wasm32-unknown-unknown/release/a.wasm.gz"},
"frontend": {"type": "assets", "build": "cargo build"}, "motoko": {"main": "main.mo"},
"remote": {"type": "custom", "wasm": "https://a.org/a"} }}"""
ICP = """canisters:
  - canisters/*
  - assets # Not @dfinity/rust@v3.2.0
  - missing
  - { name: hello_backend, recipe: { type: "@dfinity/rust@v3.2.0", configuration: { package: hello_backend } } }
  - name: own
    build: { steps: [{ type: script, commands: [mkdir -p a; cargo build -p the-own, cp own.did "$a"] }] }
"""
REFUSED = f"""\
  | existing=yes | Run copier in the folder of your Cargo.toml, or leave out existing=yes for a | --quiet
Cargo.toml dfx.json | existing=no | Leave out existing=no to keep this project, or choose an empty folder | --quiet
dfx.json icp.yaml canister_ids.json .icp/data/mappings/ic.ids.json | a=b | Run copier in the folder of your Car |
Cargo.toml build.sh rust-toolchain rust-toolchain.toml | a=b | Rename or delete build.sh and rust-toolchain and |
Cargo.toml wasm64.hbs | icp_cli=yes | Rename wasm64.hbs first, or use --data icp_cli=no: | --data=icp_cli=no
Cargo.toml {CI} | github_actions=yes | Rename {CI} first, or use --data github_actions=no: | --quiet
Cargo.toml | existing=flase | Write yes or no. "flase" is neither. | --quiet
Cargo.toml .copier-answers.yml | a=b | Add --answers-file .copier-answers.wasm64.yml: | --answers-file=.copier-answers.a
"""
"""The files of a folder, an answer, Copier's refusal, and an option with which the copy works, if one exists."""


def write(folder: Path, names: str, top: Path | None = None, **texts: str) -> dict[str, tuple[bool, bytes]]:
    """Write files, of which `dfx` and `icp` get a text, commit them in `top` or `folder`, and return `files`."""
    for name, text in (dict.fromkeys(names.split(), "canister_name: mine\n") | texts).items():
        path = folder / {"dfx": "dfx.json", "icp": "icp.yaml"}.get(name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    commit(top or folder)
    return files(folder)


def copy(template: Path, folder: Path, *options: str) -> None:
    """Run `copier copy --defaults OPTIONS`, in the fixture `repository` at the version `NEWEST`."""
    copier_command("copy", "--defaults", f"--vcs-ref={NEWEST}", *options, template, folder)


@pytest.mark.parametrize(
    "options", ["--quiet", "--overwrite --data=canister_name=hello_backend --data=project_name=Live"]
)
@pytest.mark.parametrize("icp", [{}, {"icp": ICP}])
def test_a_copy_changes_no_existing_file(template: Path, tmp_path: Path, icp: dict, options: str) -> None:
    """Otherwise, a deployment could install the sample over the live canister of the same name."""
    project = tmp_path / "hello"
    before = write(project, MINE, project if icp else tmp_path, **icp)
    copy(template, project, *options.split())
    after = files(project)
    also = {"wasm64.hbs", CI, TEMPLATE} if icp else set()
    assert before.items() <= after.items() and after.keys() - before.keys() == OWN | also


@pytest.mark.parametrize("folder", [".", "canisters/hello"])
@pytest.mark.parametrize(("place", "conflict"), [("\n\n", set()), ("\n", {"build.sh"})])
def test_an_update_changes_only_its_files(repository: Path, tmp_path: Path, folder: str, place: str, conflict) -> None:
    """The project is at the top of its repository or in a folder. The owner edited build.sh and deleted a workflow."""
    project = tmp_path / folder
    write(project, MINE, tmp_path, icp=ICP)
    copy(repository, project, "--data=github_actions=yes")
    (project / TEMPLATE).unlink()
    script = project / "build.sh"
    script.write_text(script.read_text().replace(place, f"{place}# mine\n", 1))
    commit(tmp_path)
    before = files(project)
    update(project, NEXT)
    assert {name for name, _ in before.items() ^ files(project).items()} == OWN | {"wasm64.hbs", CI}
    assert conflicts(project) == conflict
    assert {"# mine", "# CHANGED"} <= set(script.read_text().splitlines())


def test_a_later_answer_loses_no_existing_file(repository: Path, tmp_path: Path) -> None:
    before = write(tmp_path, f"Cargo.toml icp.yaml {CI}")
    copy(repository, tmp_path)
    commit(tmp_path)
    for question, answer, why in (
        ("icp_cli", False, "Run git rm wasm64.hbs &"),
        ("existing", False, "Keep existing=yes: an update cannot"),
        ("github_actions", True, f"Rename {CI} first, or use --data github_actions=no: "),
    ):
        with pytest.raises(ValueError, match=f"': {why}") as refusal:
            update(tmp_path, **{question: answer})
        assert "icp.yaml" not in str(refusal.value) and git(tmp_path, "status", "--porcelain") == ""
    with pytest.raises(ValueError, match=f"Rename {CI} first, or use --data github_actions=no: "):
        copy(repository, tmp_path, "--overwrite", "--data=github_actions=yes")
    run("git rm wasm64.hbs && git commit --message=No", tmp_path)
    update(tmp_path, icp_cli=False)
    assert before.items() <= files(tmp_path).items() and files(tmp_path).keys() == before.keys() | OWN


@pytest.mark.parametrize("row", REFUSED.splitlines())
def test_a_copy_is_refused_before_it_replaces_a_file(template: Path, tmp_path: Path, row: str) -> None:
    names, answer, why, way_out = (part.strip() for part in row.split("|"))
    before = write(tmp_path, names)
    with pytest.raises(ValueError, match=rf"^Validation error for question '\w+': {re.escape(why)}") as refusal:
        copy(template, tmp_path, "--overwrite", f"--data={answer}")
    assert files(tmp_path) == before
    assert all(name in str(refusal.value) for name in names.split() if name != "Cargo.toml")
    if way_out:
        copy(template, tmp_path, "--overwrite", way_out)
    if "--answers" in way_out:
        assert f"copier update {way_out.replace('=', ' ')} --defaults" in (tmp_path / TEMPLATE).read_text()
    assert before.items() <= files(tmp_path).items()


def test_a_new_project_keeps_a_readme_and_gitignore(repository: Path, tmp_path: Path, capsys: Said) -> None:
    before = write(tmp_path, "README.md LICENSE .gitignore")
    copy(repository, tmp_path)
    assert before.items() <= files(tmp_path).items()
    assert f" {' '.join((ROOT / 'template/.gitignore').read_text().split())} >>.gitignore" in capsys.readouterr().err
    commit(tmp_path)
    update(tmp_path, NEXT)
    assert conflicts(tmp_path) == {"README.md", ".gitignore"}
    assert all("canister_name: mine\n" in (tmp_path / name).read_text() for name in before)


def test_the_message_has_the_edits_of_each_canister(template: Path, tmp_path: Path, capsys: Said) -> None:
    rust, assets = (f"recipe: {{ type: '@dfinity/{name}@v3' }}\n" for name in ("rust", "asset-canister"))
    in_folders = {"canisters/a/canister.yaml": rust, "canisters/b/canister.yaml": rust, "assets/canister.yaml": assets}
    before = write(tmp_path, "Cargo.toml", dfx=DFX, icp=ICP, **in_folders)
    copy(template, tmp_path, "--data=github_actions=no")
    message = capsys.readouterr().err.partition("Next:\n")[2]
    assert not [line for line in message.splitlines() if len(line) > 80 and str(tmp_path) not in line]
    run(re.split(r"template's\s+recipe\s+for[^:]*:\n+|For icp-cli, give", message)[1], tmp_path)
    for name, (_, text) in before.items():
        assert files(tmp_path)[name][1] == re.sub(b"(?<!Not )@dfinity/rust[@v.0-9]*", b"file://wasm64.hbs", text)
    assert files(tmp_path).keys() == before.keys() | OWN | {"wasm64.hbs"}
    assert "\n        package: the-own\n        candid: own.did\n" in message.partition("place of its build:")[2]

    built = []
    for name, keys in re.findall(r"For dfx, give (\w+) in\s+dfx.json[^\n]+\s[^\n]+\n\n((?: .*\n)+)", message):
        own = json.loads(DFX)["canisters"][name]
        replaced = ["type"] if own["type"] == "rust" else ["build", "wasm"]
        own = {key: value for key, value in own.items() if key not in replaced}
        pairs = json.loads(json.dumps({"NEW": 0} | own).replace('"NEW": 0', keys), object_pairs_hook=list)
        new = dict(pairs)
        assert len(new) == len(pairs) and own.items() <= new.items() and new["type"] == "custom"
        built.append((new["build"], str(Path(new["wasm"]).relative_to(Path(WASM).parent)), "gzip" in new))
    names = {"hello_backend": "hello_backend", "many-bins": "second-bin", "the-own": "the-own", "the-two": "the-two", "a": "a"}
    assert built == [(f"bash build.sh {name}", f"{module}.wasm", name == "a") for name, module in names.items()]


@pytest.mark.parametrize("row", ["{}||", "[]|a: b: c|icp.yaml", "\t|canisters:|dfx.json"])
def test_next_steps_need_no_settings(template: Path, tmp_path: Path, capsys: Said, row: str) -> None:
    dfx, icp, unread = row.split("|")
    write(tmp_path, "Cargo.toml", dfx=dfx, icp=icp)
    copy(template, tmp_path)
    message = capsys.readouterr().err
    assert "    bash build.sh " in message and "".join(re.findall("Copier cannot read your (.*):", message)) == unread
