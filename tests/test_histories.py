"""Histories nobody wrote down: whatever owner and template did before, an update costs nobody their work."""

import difflib
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import copier
import pytest
import yaml
from copier import VcsRef
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from projects import BY_PROGRAMS, OPTIONAL, OPTIONAL_FILES, commit, git

HISTORIES = int(os.environ.get("HISTORIES", "0"))
"""How many histories to go through by hand, each time others; 0 for the few that CI has, always the same."""
SEED = 9
"""Of the few: one by which there is a conflict among them."""
ANSWERS_FILE = ".copier-answers.yml"
CANISTER = "{{ canister_name }}"
NEW_FILES = ["more.md", "docs/more.md", f"src/{CANISTER}/src/more.rs"]
"""What owner and template may both come to have."""
OWNERS_FILES = [*NEW_FILES, *OPTIONAL_FILES, "the owner's notes.md", "für mich.md"]
BUSY = {".gitignore", "README.md", "dfx.json"}
"""Where owner and template write more often than elsewhere, and so meet."""
OWNERS_LINE = "the owner's line é"
PLACES = st.integers(0, 2000)
"""A line of a file, counted from the start again after its end."""
LIMITS = st.sampled_from(["0", "6 GiB", "8 GiB", "6442450944"])
counts: Counter[str] = Counter()

Answers = dict[str, str | bool]
Draw = Callable


class File(NamedTuple):
    text: bytes
    executable: bool


Tree = dict[str, File]


class Update(NamedTuple):
    """What an update made of the owner's files, which the template renders as `old` before it and as `new` now."""

    owner: Tree
    old: Tree
    new: Tree
    result: Tree
    unmerged: set[str]
    merged: Tree
    """The result as git's merge of single files has it."""
    conflicts: set[str]


def tree(folder: Path) -> Tree:
    """Each file in `folder`, by name."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: File(path.read_bytes(), os.access(path, os.X_OK))
        for name, path in files.items()
        if not name.startswith(".git/")
    }


def difference(one: Tree, other: Tree) -> str:
    """A diff of two trees, empty if they are the same."""

    def lines(file: File | None) -> list[str]:
        return [f"executable: {file.executable}", *file.text.decode().split("\n")] if file else []

    names = sorted(one.keys() | other.keys())
    diffs = (difflib.unified_diff(lines(one.get(n)), lines(other.get(n)), n, n, lineterm="") for n in names)
    return "\n".join(line for diff in diffs for line in diff)


def merge(owner: Tree, old: Tree, new: Tree, scratch: Path) -> tuple[Tree, set[str]]:
    """What is to become of the owner's files, and in which of them owner and template collide."""
    merged, conflicts = {}, set()
    for name in owner.keys() | new.keys():
        mine, base, theirs = owner.get(name), old.get(name), new.get(name)
        if mine and theirs:
            text, collide = merge_texts(mine.text, base.text if base else b"", theirs.text, scratch)
            owners_mode = not base or mine.executable != base.executable
            merged[name] = File(text, mine.executable if owners_mode else theirs.executable)
            conflicts |= {name} if collide else set()
        elif mine or not base:  # What the template gave up stays, what the owner deleted does not come back.
            merged[name] = mine or theirs
    return merged, conflicts


def merge_texts(mine: bytes, base: bytes, theirs: bytes, scratch: Path) -> tuple[bytes, bool]:
    if base in (mine, theirs) or mine == theirs:
        return (theirs if base == mine else mine), False
    sides = {"before updating": mine, "last update": base, "after updating": theirs}
    labels = [word for name in sides for word in ("-L", name)]
    for name, text in sides.items():
        (scratch / name).write_bytes(text)
    command = ["git", "merge-file", "-p", *labels, *sides]
    result = subprocess.run(command, cwd=scratch, stdout=subprocess.PIPE, check=False)
    assert result.returncode < 128
    return result.stdout, result.returncode > 0


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def insert(path: Path, place: int, text: str) -> None:
    lines = lines_of(path)
    place %= len(lines) + 1
    path.write_text("".join([*lines[:place], text, *lines[place:]]))


def replace(path: Path, place: int, text: str) -> None:
    """Replace a line that has no Jinja; an empty text deletes it."""
    lines = lines_of(path)
    if plain := [i for i, line in enumerate(lines) if not re.search(r"{[{%#]|[#%}]}", line)]:
        lines[plain[place % len(plain)]] = text
    path.write_text("".join(lines))


def files(names: Iterable[str]) -> st.SearchStrategy[str]:
    """Any of these but the answers file."""
    names = sorted(name for name in names if name != ANSWERS_FILE and "answers_file" not in name)
    return st.sampled_from(names + 4 * [name for name in names if name.removesuffix(".jinja") in BUSY])


def flip_mode(path: Path) -> None:
    path.chmod(path.stat().st_mode ^ 0o111)


class Histories(RuleBasedStateMachine):
    """A project whose owner edits it, a template that gets new versions, and the updates that bring both together."""

    def __init__(self, template: Path, folder: Path) -> None:
        super().__init__()
        counts["histories"] += 1
        self.folder = folder / str(counts["histories"])
        self.template, self.project, self.scratch = (self.folder / name for name in ("template", "hello", "scratch"))
        self.scratch.mkdir(parents=True)
        shutil.copytree(template, self.template)
        self.version = self.newest = 1
        self.owners_lines = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(
        touched=st.sampled_from([True, True, True, False]),
        project_name=st.sampled_from(["hello", "my-app"]),
        canister_name=st.sampled_from(["hello_backend", "h"]),
        wasm_memory_limit=LIMITS,
        **dict.fromkeys(["shrink", "gzip"], st.booleans()),
        **dict.fromkeys(OPTIONAL, st.sampled_from([True, True, False])),
    )
    def render(self, touched: bool, **answers: str | bool) -> None:
        self.answers: Answers = answers
        # Where both changed the text of a file, Copier may leave it the mode that it had.
        by_owner = self.OWNERS_EDITS if touched else (Histories.a_file_of_the_template_changes_its_mode,)
        self.edits = by_owner + self.TEMPLATES_EDITS
        self.copy(self.project)
        commit(self.project)
        fresh = tree(self.project)
        self.last = Update(fresh, fresh, fresh, fresh, set(), fresh, set())

    def copy(self, folder: Path) -> None:
        """`copier copy` with the project's answers, at its version of the template."""
        version = f"v{self.version}"
        copier.run_copy(str(self.template), folder, self.answers, vcs_ref=version, defaults=True, quiet=True)

    # What the owner does

    def owners_file(self, draw: Draw) -> Path:
        return self.project / draw(files(tree(self.project)))

    def owners_line(self) -> str:
        self.owners_lines += 1
        return f"{OWNERS_LINE} {self.owners_lines}\n"

    def owner_adds_a_line(self, draw: Draw) -> None:
        insert(self.owners_file(draw), draw(PLACES), self.owners_line())

    def owner_changes_a_line(self, draw: Draw) -> None:
        replace(self.owners_file(draw), draw(PLACES), self.owners_line())

    def owner_deletes_a_line(self, draw: Draw) -> None:
        replace(self.owners_file(draw), draw(PLACES), "")

    def owner_changes_a_mode(self, draw: Draw) -> None:
        flip_mode(self.owners_file(draw))

    def owner_writes_a_file(self, draw: Draw) -> None:
        name = draw(st.sampled_from(OWNERS_FILES))
        path = self.project / name.replace(CANISTER, str(self.answers["canister_name"]))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.owners_line())

    def owner_deletes_a_file(self, draw: Draw) -> None:
        if len(tree(self.project)) > 2:
            self.owners_file(draw).unlink()

    def owner_renames_a_file(self, draw: Draw) -> None:
        path = self.owners_file(draw)
        path.rename(path.with_name(f"renamed {path.name}"))

    OWNERS_EDITS = tuple(edit for name, edit in vars().items() if name.startswith("owner_"))

    # What the template does

    def templates_file(self, draw: Draw, pattern: str = "**/*") -> Path:
        top = self.template / "template"
        return top / draw(files(path.relative_to(top).as_posix() for path in top.glob(pattern) if path.is_file()))

    def template_adds_a_line(self, draw: Draw) -> None:
        insert(self.templates_file(draw), draw(PLACES), f"the template's line of {self.newest}\n")

    def template_deletes_a_line(self, draw: Draw) -> None:
        replace(self.templates_file(draw), draw(PLACES), "")

    def template_raises_a_pin(self, draw: Draw) -> None:
        path = self.template / "template" / draw(st.sampled_from(["Cargo.toml.jinja", "Cargo.lock.jinja"]))
        text = path.read_text()
        if pins := list(re.finditer(r'\d+(?="\n)', text)):
            pin = pins[draw(PLACES) % len(pins)]
            path.write_text(f"{text[: pin.start()]}{int(pin[0]) + 1}{text[pin.end() :]}")

    def template_adds_a_question(self, draw: Draw) -> None:
        name = f"question_{self.newest}"
        if name in (questions := (self.template / "copier.yml").read_text()):
            return
        default = draw(st.sampled_from(["true", "false"]))
        (self.template / "copier.yml").write_text(f"{questions}\n{name}:\n  type: bool\n  default: {default}\n")
        insert(self.templates_file(draw, "**/*.jinja"), draw(PLACES), f"{{% if {name} %}}\n{name}\n{{% endif %}}\n")

    def template_changes_its_defaults(self, draw: Draw) -> None:
        path = self.template / "copier.yml"
        other = {"true": "false", "false": "true"}
        path.write_text(re.sub("(?<=  default: )(true|false)", lambda default: other[default[0]], path.read_text()))

    def template_adds_a_file(self, draw: Draw) -> None:
        path = self.template / "template" / draw(st.sampled_from(NEW_FILES))
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"the template's file of {self.newest}\n")
        self.retire(path, retired=False)

    def template_gives_up_a_file_under_src(self, draw: Draw) -> None:
        if any(path.is_file() for path in (self.template / "template/src").rglob("*")):
            path = self.templates_file(draw, "src/**/*")
            self.retire(path)
            if draw(st.booleans()):
                self.retire(path.rename(path.with_name(f"renamed-{path.name}")), retired=False)
            else:
                path.unlink()

    def retire(self, path: Path, retired: bool = True) -> None:
        """Take a file under src/ from updates before it goes, as CONTRIBUTING.md says, or give it back to them."""
        name = path.relative_to(self.template / "template").as_posix().removesuffix(".jinja")
        line = f"  - \"{{% if _copier_operation == 'update' %}}/{name}{{% endif %}}\"\n"
        questions = self.template / "copier.yml"
        text = questions.read_text().replace(line, "")
        questions.write_text(text.replace("_exclude:\n", f"_exclude:\n{line}") if retired else text)

    TEMPLATES_EDITS = tuple(edit for name, edit in vars().items() if name.startswith("template_"))

    def a_file_of_the_template_changes_its_mode(self, draw: Draw) -> None:
        flip_mode(self.templates_file(draw))

    def work(self, draw: Draw) -> None:
        """A while in which owner and template go on, and at the end of which each commits."""
        for edit in draw(st.lists(st.sampled_from(self.edits), min_size=8, max_size=20)):
            edit(self, draw)
        commit(self.project)
        if git(self.template, "status", "--porcelain"):
            self.newest += 1
            commit(self.template, f"v{self.newest}")

    # The updates

    def take_the_newest_version(self, draw: Draw) -> None:
        self.update(draw, None, self.other_answers(draw, 0, 1))

    def change_answers(self, draw: Draw) -> None:
        self.update(draw, VcsRef.CURRENT, self.other_answers(draw, 1, 4))

    def change_nothing(self, draw: Draw) -> None:
        self.refuse(None, {"canister_name": "other"})
        counts["refusals to rename"] += 1
        self.update(draw, VcsRef.CURRENT, {})
        assert git(self.project, "status", "--porcelain") == ""

    UPDATES = (take_the_newest_version, take_the_newest_version, change_answers, change_nothing)

    @rule(data=st.data())
    def work_and_update(self, data: st.DataObject) -> None:
        self.work(data.draw)
        data.draw(st.sampled_from(self.UPDATES))(self, data.draw)

    def other_answers(self, draw: Draw, least: int, most: int) -> Answers:
        other = {name: not answer for name, answer in self.answers.items() if isinstance(answer, bool)}
        other["wasm_memory_limit"] = draw(LIMITS)
        names = draw(st.lists(st.sampled_from(sorted(other)), min_size=least, max_size=most, unique=True))
        return {name: other[name] for name in names}

    def run_update(self, version: VcsRef | None, answers: Answers) -> None:
        copier.run_update(self.project, answers, vcs_ref=version, defaults=True, overwrite=True, quiet=True)

    def refuse(self, version: VcsRef | None, answers: Answers) -> None:
        before = tree(self.project)
        with pytest.raises(ValueError, match="Validation error for question"):
            self.run_update(version, answers)
        assert not difference(before, tree(self.project))

    def update(self, draw: Draw, version: VcsRef | None, answers: Answers) -> None:
        """Update, after deleting what an answer would take away, and settle the conflicts as owners do."""
        for question, names in OPTIONAL.items():
            paths = [self.project / name.replace("hello_backend", self.answers["canister_name"]) for name in names]
            there = [path for path in paths if path.exists()]
            if self.answers[question] and not answers.get(question, True) and there:
                self.refuse(version, answers)
                counts[f"refusals to delete {question}"] += 1
                for path in there:
                    path.unlink()
                commit(self.project)
        owner, old = tree(self.project), self.last.new
        self.run_update(version, answers)
        new = self.fresh_copy(version, answers)
        for name in (name.replace("hello_backend", self.answers["canister_name"]) for name in BY_PROGRAMS):
            for side in (old, new):  # An update passes these files by, as if the template had the owner's.
                side.pop(name, None)
                side |= {name: owner[name]} if name in owner else {}
        unmerged = set(git(self.project, "diff", "--name-only", "--diff-filter=U", "-z").split("\0")) - {""}
        self.last = Update(owner, old, new, tree(self.project), unmerged, *merge(owner, old, new, self.scratch))
        counts["updates"] += 1
        counts["conflicts"] += len(unmerged)
        for name in sorted(unmerged):
            path = self.project / name
            if draw(st.booleans()):
                git(self.project, "checkout", "--quiet", "--ours", "--", name)
            else:
                markers = r"^(<{7} before updating|={7}|>{7} after updating)\n"
                path.write_text(re.sub(markers, "", path.read_text(), flags=re.MULTILINE))

    def fresh_copy(self, version: VcsRef | None, answers: Answers) -> Tree:
        """What the project would be, had it been rendered by the version and with the answers that it now has."""
        if version is None:
            self.version = self.newest
            questions = yaml.safe_load(git(self.template, "show", f"v{self.version}:copier.yml"))
            added = {name: questions[name]["default"] for name in questions if name.startswith("question_")}
            self.answers = added | self.answers
        elif not answers:
            return self.last.new
        self.answers |= answers
        folder = self.folder / "fresh"
        self.copy(folder)
        fresh = tree(folder)
        shutil.rmtree(folder)
        return fresh

    # What holds after each update

    @invariant()
    def no_line_of_the_owners_is_lost(self) -> None:
        for name, file in self.last.owner.items():
            written = {line for line in file.text.decode().splitlines() if OWNERS_LINE in line}
            kept = self.last.result[name].text.decode().splitlines() if name in self.last.result else []
            assert written <= set(kept), f"lost in {name}"

    @invariant()
    def what_the_owner_deleted_stays_deleted(self) -> None:
        deleted = self.last.old.keys() - self.last.owner.keys()
        assert not deleted & self.last.result.keys()

    @invariant()
    def what_the_owner_left_alone_is_as_in_a_fresh_copy(self) -> None:
        owner, old, new, result, *_ = self.last
        alone = {name for name in old.keys() & new.keys() if owner.get(name) == old[name]}
        assert not difference({name: new[name] for name in alone}, {name: result[name] for name in alone})

    @invariant()
    def owner_and_template_are_merged_as_git_merges(self) -> None:
        assert not difference(self.last.merged, self.last.result)

    @invariant()
    def where_they_collide_there_are_markers_and_git_says_so(self) -> None:
        marked = {
            name for name, file in self.last.result.items() if b"\n<<<<<<< before updating\n" in b"\n" + file.text
        }
        assert self.last.unmerged == marked == self.last.conflicts

    @invariant()
    def the_recorded_answers_are_those_given(self) -> None:
        recorded = yaml.safe_load((self.project / ANSWERS_FILE).read_text())
        assert recorded.pop("_commit") == f"v{self.version}"
        assert recorded.pop("_src_path") == str(self.template)
        assert recorded == self.answers


def test_an_update_never_costs_anyone_their_work(template: Path, tmp_path: Path) -> None:
    """A few histories, the same each time; HISTORIES=200 goes through 200 others, and shortens one that fails."""
    set_hypothesis_home_dir(tmp_path)  # It would be .hypothesis in the work tree.
    versions = tmp_path / "versions"
    for name in ("template", "includes"):
        shutil.copytree(template / name, versions / name)
    (versions / "copier.yml").write_text('_exclude:\n  - ".git"\n' + (template / "copier.yml").read_text())
    commit(versions, "v1")

    def histories() -> Histories:
        return Histories(versions, tmp_path)

    try:
        run_state_machine_as_test(
            histories if HISTORIES else seed(SEED)(histories),
            settings=settings(
                max_examples=HISTORIES or 3,
                stateful_step_count=6 if HISTORIES else 3,
                phases=[Phase.generate, Phase.shrink] if HISTORIES else [Phase.generate],
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        print(", ".join(f"{number} {what}" for what, number in counts.items()))
