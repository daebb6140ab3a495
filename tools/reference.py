"""Write the pages of docs/reference that are made from the template: questions.md, files.md and pins.md.

What is there is read from copier.yml, from rendered projects and from the files that hold the pins. What cannot be read, such as
who owns a file, stands in docs/reference/prose.yml.
"""

import json
import re
import shutil
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import copier
import yaml
from workspace import ROOT, nightly

FOLDER = ROOT / "docs/reference"
PROSE = FOLDER / "prose.yml"
ACTION = re.compile(r"uses: (\S+)@([0-9a-f]{40}) # v(\S+)")
WRITTEN = "<!-- Written by tools/reference.py: make docs -->"
wrap = partial(textwrap.fill, width=140, break_long_words=False, break_on_hyphens=False)

Answers = dict[str, str | bool]
Files = dict[str, bytes]
"""The content of each generated file, by its name."""


# What the template does


def questions() -> dict[str, dict]:
    """The questions of copier.yml by name, in its order."""
    config = yaml.safe_load((ROOT / "copier.yml").read_text())
    return {name: question for name, question in config.items() if not name.startswith("_")}


def sources(folder: Path) -> Path:
    """What Copier reads of this template, in a folder without git: it renders that as it is, and sooner."""
    for name in ("includes", "template"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "copier.yml", folder)
    return folder


def render(template: Path, answers: Answers) -> Files:
    """The project `hello` with these answers, defaults for the rest. Raises `ValueError` for one that is refused."""
    with TemporaryDirectory() as folder:
        project = Path(folder) / "hello"
        copier.run_copy(str(template), project, answers, defaults=True, quiet=True, unsafe=False)
        return {
            path.relative_to(project).as_posix(): path.read_bytes() for path in project.rglob("*") if path.is_file()
        }


def answers(project: Files) -> Answers:
    """The answers that a project records."""
    recorded = yaml.safe_load(project[".copier-answers.yml"])
    return {name: recorded[name] for name in questions()}


def refusal(template: Path, name: str, answer: str) -> str:
    """What Copier says of an answer. Raises `ValueError` where it takes it."""
    try:
        render(template, {name: answer})
    except ValueError as error:
        return str(error).split(f"'{name}': ", 1)[1]
    raise ValueError(f"docs/reference/prose.yml: {name} does not refuse {answer!r}; write one that it refuses")


def effects(template: Path, prose: Mapping[str, dict]) -> tuple[Files, dict[str, set[str]], dict[str, set[str]]]:
    """The files of a project with every yes, which files each answer changes, and which are there only with its yes."""
    yes = {name: True for name, question in questions().items() if question["type"] == "bool"}
    full = render(template, yes)
    recorded = answers(full)
    changed, only = {}, {}
    for name in questions():
        other = render(template, recorded | {name: False if name in yes else prose[name]["other"]})
        changed[name] = {file for file in full if full[file] != other.get(file)} - {".copier-answers.yml"}
        only[name] = full.keys() - other.keys() if name in yes else set()
    return full, changed, only


def complete(prose: Mapping[str, object], names: Iterable[str], what: str, keys: Sequence[str]) -> None:
    """Raise `ValueError` unless prose.yml has these names below `what`, each with these keys, and no other names."""
    for name in names:
        missing = [key for key in keys if key not in (prose[what].get(name) or {})]
        if missing:
            raise ValueError(f"docs/reference/prose.yml: add {', '.join(missing)} for {name} below `{what}:`")
    if gone := prose[what].keys() - set(names):
        raise ValueError(f"docs/reference/prose.yml: take out {', '.join(sorted(gone))} below `{what}:`; it is gone")


# The pages


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def questions_page(template: Path, prose: Mapping[str, dict], changed: Mapping[str, set[str]]) -> str:
    """docs/reference/questions.md."""
    recorded = answers(render(template, {}))
    defaults = {name: default(question, recorded[name]) for name, question in questions().items()}
    rows = ((f"[`{name}`](#{name})", text) for name, text in defaults.items())
    sections = [
        question_section(template, name, defaults[name], prose["questions"][name], sorted(changed[name]))
        for name in questions()
    ]
    return "\n\n".join(
        (
            WRITTEN,
            "# Questions",
            wrap(prose["pages"]["questions"]),
            table(("question", "default"), rows),
            *sections,
        )
    )


def default(question: Mapping[str, object], recorded: str | bool) -> str:
    """A question's default as the page has it; for one that is computed, what is recorded of it for a folder `hello`."""
    value = question["default"]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`" if value == recorded else f"`{recorded}` in a folder `hello`"


def question_section(template: Path, name: str, default: str, prose: Mapping[str, str], changed: Sequence[str]) -> str:
    question = questions()[name]
    yes_or_no = question["type"] == "bool"
    other = str(not question["default"]).lower() if yes_or_no else prose["other"]
    facts = {
        "Default": default,
        "Allowed": "yes or no" if yes_or_no else prose["allowed"],
        "Changes": code(changed),
        "Locks you into": prose["locks"],
        "To change it later": prose["change"],
    }
    section = f"## `{name}`\n\n{question['help']}\n\n"
    section += "\n".join(wrap(f"- **{fact}**: {text}", subsequent_indent="  ") for fact, text in facts.items())
    if "rename_error" not in question["validator"]:
        value = f'"{other}"' if " " in other else other
        section += f"\n\n```sh\ncopier update --defaults --vcs-ref=:current: --data {name}={value}\n```"
    if not yes_or_no:
        said = ((shown(answer), refusal(template, name, answer)) for answer in prose["refused"])
        section += f"\n\n{table(('refused', 'what Copier says'), said)}"
    return section


def shown(answer: str) -> str:
    if len(answer) > 40:
        return f"{len(answer)} characters"
    return f"`{answer}`" if answer else "nothing"


def files_page(prose: Mapping[str, dict], changed: Mapping[str, set[str]], only: Mapping[str, set[str]]) -> str:
    """docs/reference/files.md."""
    parts = [
        WRITTEN,
        "# Files",
        wrap(prose["pages"]["files"]),
    ]
    for owner, about in prose["owners"].items():
        entries = (
            f"- `{file}`: {entry['what']}. {condition(file, changed, only)}."
            for file, entry in prose["files"].items()
            if entry["owner"] == owner
        )
        entries = (wrap(entry, subsequent_indent="  ") for entry in entries)
        parts += [f"## {about['title']}", about["update"], "\n".join(entries)]
    return "\n\n".join(parts)


def condition(file: str, changed: Mapping[str, set[str]], only: Mapping[str, set[str]]) -> str:
    """The answers that a file depends on, in words."""
    if file == ".copier-answers.yml":
        return "Depends on every answer"
    there = code(name for name, files in only.items() if file in files)
    others = code(name for name, files in changed.items() if file in files and file not in only[name])
    words = [f"there with {there}"] * bool(there) + [f"depends on {others}"] * bool(others)
    return ", ".join(words or ["the same for all answers"]).capitalize()


def pins_page(full: Files, prose: Mapping[str, dict]) -> str:
    """docs/reference/pins.md, for a project with every yes."""
    manifest = full["Cargo.toml"].decode()
    canister = tomllib.loads(full["src/hello_backend/Cargo.toml"].decode())
    own = (canister["dependencies"] | canister["dev-dependencies"]).items()
    crates = [(name, pin, "Cargo.toml") for name, pin in tomllib.loads(manifest)["workspace"]["dependencies"].items()]
    crates += [(name, pin["version"], "src/hello_backend/Cargo.toml") for name, pin in own if "version" in pin]
    workflows = "".join(text.decode() for file, text in sorted(full.items()) if file.startswith(".github/"))
    actions = sorted({(name, f"`{version}`", f"`{commit}`") for name, commit, version in ACTION.findall(workflows)})
    npm = json.loads((ROOT / "tools/npm/package.json").read_text())["dependencies"]
    config = yaml.safe_load((ROOT / "copier.yml").read_text())
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (tested_copier,) = [pin.removeprefix("copier==") for pin in python if pin.startswith("copier==")]
    project = [("Rust", f"`{nightly()}`", "`rust-toolchain.toml`")]
    project += [(f"`{name}`", f"`{pin.removeprefix('=')}`", f"`{file}`") for name, pin, file in crates]
    (workflows_copier,) = re.findall(r"copier==(\S+)", workflows)
    project += [("Copier", f"`{workflows_copier}`", "`.github/workflows/template.yml`")]
    ours = [
        ("Copier, the oldest that works", f"`{config['_min_copier_version']}`", "`copier.yml`"),
        ("Copier, in the tests", f"`{tested_copier}`", "`pyproject.toml`"),
        *((f"{program(name)}, in the tests", f"`{pin}`", "`tools/npm/package.json`") for name, pin in npm.items()),
    ]
    return "\n\n".join(
        (
            WRITTEN,
            "# Pins",
            wrap(prose["pages"]["pins"]),
            "## In a project",
            table(("what", "version", "where"), project),
            "`Cargo.lock` pins what the crates depend on. "
            + re.search(r"^# (wasm64 needs .*)$", manifest, re.MULTILINE)[1],
            "The actions of the generated workflows are pinned to commits:",
            table(("action", "version", "commit"), actions),
            "## In the template",
            table(("what", "version", "where"), ours),
            "The generated workflow installs these versions of icp-cli and ic-wasm. On your machine, a project works with any.",
        )
    )


def program(package: str) -> str:
    """`ic-wasm` for `@icp-sdk/ic-wasm-linux-x64`."""
    return package.removeprefix("@icp-sdk/").removesuffix("-linux-x64")


def pages() -> dict[Path, str]:
    """The text of each page, by its file, without a line break at the end. Raises `ValueError` where prose.yml and the template do not go together."""
    prose = yaml.safe_load(PROSE.read_text())
    texts = [name for name, question in questions().items() if question["type"] != "bool"]
    complete(prose, questions(), "questions", ("locks", "change"))
    complete(
        prose | {"questions": {name: prose["questions"][name] for name in texts}},
        texts,
        "questions",
        ("allowed", "other", "refused"),
    )
    with TemporaryDirectory() as folder:
        template = sources(Path(folder))
        full, changed, only = effects(template, prose["questions"])
        complete(prose, full, "files", ("owner", "what"))
        return {
            FOLDER / "questions.md": questions_page(template, prose, changed),
            FOLDER / "files.md": files_page(prose, changed, only),
            FOLDER / "pins.md": pins_page(full, prose),
        }


def main() -> None:
    """Write the pages."""
    try:
        texts = pages()
    except ValueError as error:
        sys.exit(f"make docs: {error}")
    for file, text in texts.items():
        file.write_text(text + "\n")


if __name__ == "__main__":
    main()
