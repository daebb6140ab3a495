"""The answers are an interface: what a release promised, the next one keeps, or it announces a major version."""

import itertools
import re
import shutil
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import jinja2
import jinja2.meta
import pytest
import yaml
from conftest import FILES, RELEASES, ROOT, known
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment
from jinja2_ansible_filters import AnsibleCoreFiltersExtension
from pathspec import PathSpec
from projects import BY_PROGRAMS, git

Answers = dict[str, object]

TRICKY = [
    *("h", "h2_o", "hello_", "hello-", "hello__2", "hello-_-2", "core_app", "matches", "a" * 48, "a" * 64),
    *(
        "0",
        "00",
        "007",
        "0 YiB",
        "6442450944",
        "281474976710656",
        "1 MiB",
        "1048576 b",
        "2000 kB",
        "1024 Kib",
        "512 mb",
    ),
    *("6GiB", "6 GiB", "6   gib", "6 Gib", "6 gb", "262144 gib", "256 TiB", "281 tb"),
]
"""Texts at the edge of what a question takes."""
PATTERNS = [
    r"[a-z][a-z0-9_]{0,63}",
    r"[a-z][a-z0-9_-]{0,47}",
    r"[0-9]{7,15}",
    r"[0-9]{1,3} {0,2}([KkMmGgTt]i?)?[Bb]",
]
"""What a text answer may look like; Hypothesis makes answers of each."""
RECORDED_WITH = ("type", "multiselect", "secret", "when")
"""The keys of a question that decide how, and whether, its answer stands in a project's .copier-answers.yml."""


parsed = cache(yaml.safe_load)


@cache
def configuration(template: Path) -> dict[str, object]:
    return parsed((template / "copier.yml").read_text())


def questions(template: Path) -> dict[str, dict[str, object]]:
    return {name: question for name, question in configuration(template).items() if not name.startswith("_")}


@cache
def includes(template: Path) -> frozenset[tuple[str, str]]:
    """The name and the text of each file that a validator can import."""
    paths = [*(template / "includes").glob("*"), template / "template/Cargo.lock.jinja"]
    return frozenset((path.relative_to(template).as_posix(), path.read_text()) for path in paths)


@cache
def environment(template: Path) -> SandboxedEnvironment:
    """Copier's environment for a template; a variable that nobody sets raises `jinja2.UndefinedError`."""
    return shared_environment(includes(template), frozenset(configuration(template).get("_envops", {}).items()))


@cache
def shared_environment(
    included: frozenset[tuple[str, str]], options: frozenset[tuple[str, object]]
) -> SandboxedEnvironment:
    """One for all templates that have these in common: to compile them takes longer than to render."""
    loader = jinja2.DictLoader(dict(included))
    strict = dict(options) | {"undefined": jinja2.StrictUndefined}
    environment = SandboxedEnvironment(loader=loader, extensions=[AnsibleCoreFiltersExtension], **strict)
    environment.filters["fileglob"] = lambda path: [path] if path.endswith("/.copier-answers.yml") else []
    return environment


@cache
def compiled(environment: SandboxedEnvironment, text: str) -> jinja2.Template:
    return environment.from_string(text)


def render(template: Path, text: object, answers: Answers) -> object:
    """A value of copier.yml as Copier renders it when it updates a project that has these answers."""
    if not isinstance(text, str) or "{" not in text:
        return text
    project = {
        "dst_path": template / "hello",
        "answers_file": ".copier-answers.yml",
        "defaults": True,
        "data": {},
    }
    copiers = {
        "_copier_conf": project,
        "_copier_operation": "update",
        "_external_data": {"recorded": answers},
    }
    return compiled(environment(template), text).render(copiers | answers)


@cache
def default_answers(template: Path) -> Answers:
    """The answers of a project in a folder `hello` whose owner took every default."""
    answers: Answers = {}
    for name, question in questions(template).items():
        if "default" in question:
            default = render(template, question["default"], answers)
            is_text = question.get("type") == "str" or not isinstance(default, str)
            answers[name] = default if is_text else yaml.safe_load(default)
    return answers


def choices(template: Path, name: str) -> list[object]:
    """The answers to choose from, of those that are not disabled, in any of Copier's ways to write them."""
    offered = questions(template)[name].get("choices", [])
    if isinstance(offered, str):
        offered = yaml.safe_load(render(template, offered, default_answers(template)))
    offered = list(offered.items()) if isinstance(offered, dict) else offered
    values = [choice[1] if isinstance(choice, list | tuple) else choice for choice in offered]
    full = [value if isinstance(value, dict) else {"value": value} for value in values]
    answers = default_answers(template)
    return [value["value"] for value in full if not render(template, value.get("validator", ""), answers)]


def refusal(template: Path, name: str, answer: object) -> str:
    """Why the question `name` refuses an answer, in the template's own words; empty if it takes it."""
    question = questions(template)[name]
    if "choices" in question and answer not in choices(template, name):
        return f"It offers {choices(template, name)}."
    answers = default_answers(template) | {name: answer}
    return str(render(template, question.get("validator", ""), answers)).strip()


@cache
def generated_texts() -> frozenset[str]:
    """The same texts in each run."""
    texts = set()
    for pattern in PATTERNS:

        @settings(derandomize=True, database=None, max_examples=50)
        @given(st.from_regex(pattern, fullmatch=True))
        def collect(text: str) -> None:
            texts.add(text)

        collect()
    return frozenset(texts)


@cache
def words(template: Path) -> frozenset[str]:
    """The words of copier.yml and includes/: a name that a validator reserves stands there."""
    texts = [(template / "copier.yml").read_text(), *(text for name, text in includes(template) if "lock" not in name)]
    return frozenset(word for text in texts for word in re.findall(r"[a-z][a-z0-9_-]*", text))


@cache
def taken(template: Path, name: str) -> list[object]:
    """The answers that a question takes, of all that are worth trying."""
    default = [default_answers(template)[name]] if name in default_answers(template) else []
    if questions(template)[name]["type"] == "bool":
        tried: Iterable[object] = [True, False]
    elif "choices" in questions(template)[name]:
        tried = choices(template, name)
    else:
        tried = {*TRICKY, *generated_texts(), *words(template), *default}
    return [answer for answer in tried if not refusal(template, name, answer)]


def what_refuses(template: Path, name: str) -> list[object]:
    """The choices and the validator of a question, and the text of each file that the validator imports, in turn."""
    question = questions(template)[name]
    texts = [question.get("validator", "")]
    for text in texts:  # Which grows meanwhile.
        texts += [dict(includes(template))[file] for file in imported(text)]
    return [question.get("choices"), *texts]


@cache
def imported(text: str) -> list[str]:
    """The names of the files that a Jinja template imports."""
    return list(jinja2.meta.find_referenced_templates(jinja2.Environment().parse(text)))


def layout(template: Path) -> list[object]:
    """What decides, beside the answers, which files are generated."""
    keys = ("_subdirectory", "_templates_suffix", "_exclude", "_envops")
    root = template / configuration(template).get("_subdirectory", "")
    paths = sorted(path.relative_to(root) for path in root.rglob("*"))
    return [*(configuration(template).get(key) for key in keys), *paths]


def files(template: Path, answers: Answers) -> set[str]:
    """The names of the files that an update generates for these answers."""
    config = configuration(template)
    root, suffix = template / config.get("_subdirectory", ""), config.get("_templates_suffix", ".jinja")
    excluded = PathSpec.from_lines(
        "gitignore", (render(template, line, answers) for line in config.get("_exclude", []))
    )
    names = set()
    for path in root.rglob("*"):
        parts = path.relative_to(root).as_posix().removesuffix(suffix).split("/")
        rendered = [str(render(template, part, answers)) for part in parts]
        if path.is_file() and all(rendered) and not excluded.match_file("/".join(rendered)):
            names.add("/".join(rendered))
    return names


def broken_promises(old: Path, new: Path) -> list[str]:
    """What projects generated from the template in `old` lose with an update to the one in `new`, and what to do."""
    return [*broken_questions(old, new), *broken_answers(old, new), *broken_files(old, new)]


def broken_questions(old: Path, new: Path) -> list[str]:
    before, after = questions(old), questions(new)
    broken = [
        f"The question {name} is gone, and an update would forget its answer: bring it back under this name."
        for name in before.keys() - after.keys()
    ]
    for name in after.keys() - before.keys():
        if "default" not in after[name]:
            broken.append(f"The new question {name} has no default, and `copier update --defaults` fails: give it one.")
    for name in before.keys() & after.keys():
        for key in RECORDED_WITH:
            was, is_now = before[name].get(key), after[name].get(key)
            if was != is_now:
                broken.append(
                    f"The `{key}` of {name} was {was} and is {is_now}, which recorded answers do not fit: change it back."
                )
    for name, default in default_answers(new).items():
        if message := refusal(new, name, default):
            broken.append(
                f"{name} refuses its own default, {default!r}: change the one or the other. It says: {message}"
            )
    return sorted(broken)


def broken_answers(old: Path, new: Path) -> list[str]:
    before, after = questions(old), questions(new)
    broken = []
    for name in before.keys() & after.keys():
        if before[name]["type"] != after[name]["type"]:
            continue
        if what_refuses(old, name) == what_refuses(new, name):
            continue
        reserved = words(new) - words(old) if before[name]["type"] == "str" else set()
        once_taken = {*taken(old, name), *(word for word in reserved if not refusal(old, name, word))}
        refused = [answer for answer in once_taken if refusal(new, name, answer)]
        if refused:
            refused.sort(key=lambda answer: (len(str(answer)), str(answer)))
            more = f" and {len(refused) - 1} more" if refused[1:] else ""
            broken.append(
                f"{name} no longer takes {refused[0]!r}{more}, and an update would reset that answer: take it again. "
                f"It says: {refusal(new, name, refused[0])}"
            )
    return sorted(broken)


def broken_files(old: Path, new: Path) -> list[str]:
    """The files that are gone, or gone for some of the answers that files depend on."""
    layouts = layout(old), layout(new)
    if layouts[0] == layouts[1]:
        return []
    finite = {
        name: choices(old, name) or [True, False]
        for name, question in questions(old).items()
        if ("choices" in question or question["type"] == "bool") and name in str(layouts)
    }
    gone = set()
    for values in itertools.product(*finite.values()):
        answers = default_answers(old) | dict(zip(finite, values, strict=True))
        gone |= files(old, answers) - files(new, default_answers(new) | answers) - BY_PROGRAMS
    return [
        f"{name} is no longer generated, or has another name, and an update would delete it with all that its owner "
        f"wrote there, unless `_exclude` keeps it out: bring it back under this name."
        for name in sorted(gone)
    ]


def headings(template: Path) -> list[str]:
    """The version headings of CHANGELOG.md, newest first, each without what follows the version."""
    text = (template / "CHANGELOG.md").read_text()
    return [re.sub(r"^(\d+\.\d+\.\d+)\b.*", r"\1", line) for line in re.findall(r"^## (.+)$", text, re.MULTILINE)]


def unannounced(version: str, old: Path, new: Path) -> list[str]:
    """`broken_promises` to users of the release `version`, unless a major version and a test for the crossing allow them."""
    broken = broken_promises(old, new)
    if not broken:
        return []
    newest, major = headings(new)[0], int(version.split(".")[0])
    announced = int(newest.split(".")[0]) if re.fullmatch(r"\d+\.\d+\.\d+", newest) else 0
    if announced <= major:
        return [*broken, f"Or announce it: start CHANGELOG.md with `## {major + 1}.0.0`. It starts with `## {newest}`."]
    crossing = f"test_crossing_to_{announced}"
    if not re.search(rf"^def {crossing}\([^)]*\bstart\b", (new / "tests/test_update.py").read_text(), re.MULTILINE):
        return [*broken, f"{newest} is announced: add {crossing} to tests/test_update.py, an update from {version}."]
    return []


def released(commit: str, folder: Path) -> Path:
    """The files of a release, unpacked in `folder`."""
    git(ROOT, "archive", "--format=zip", f"--output={folder / 'release.zip'}", known(commit))
    shutil.unpack_archive(folder / "release.zip", folder / "release")
    return folder / "release"


def test_what_the_last_release_promised_is_kept(template: Path, tmp_path: Path) -> None:
    assert RELEASES, "tests/releases.yml records no release yet."
    version, commit = list(RELEASES.items())[-1]
    broken = unannounced(version, released(commit, tmp_path), template)
    assert not broken, "\n".join(broken)


def test_each_release_is_in_the_changelog_and_only_the_next_is_ahead(template: Path) -> None:
    recorded = list(reversed(RELEASES))
    assert recorded == sorted(recorded, key=lambda version: [int(part) for part in version.split(".")], reverse=True)
    assert headings(template) in (recorded, [headings(template)[0], *recorded])


def test_each_release_announces_itself(tmp_path: Path) -> None:
    for version, commit in RELEASES.items():
        (tmp_path / version).mkdir()
        assert headings(released(commit, tmp_path / version))[0] == version, commit


def test_a_release_that_a_shallow_clone_lacks_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="git fetch --unshallow"):
        released("0" * 40, tmp_path)


# The rest holds the comparison itself to its word, on copies of the work tree with one thing changed.


def copied(template: Path, folder: Path) -> Path:
    return shutil.copytree(template, folder, ignore=shutil.ignore_patterns("tools", "docs", "test_[!u]*"))


def ask(template: Path, **changes: dict[str, object] | None) -> None:
    """Set these keys of questions, or remove the question, in copier.yml."""
    config = dict(parsed((template / "copier.yml").read_text()))
    for name, keys in changes.items():
        config[name] = config.get(name, {}) | keys if keys is not None else None
    config = {name: value for name, value in config.items() if value is not None}
    (template / "copier.yml").write_text(yaml.safe_dump(config, sort_keys=False))


def edit(template: Path, name: str, before: str, after: str) -> None:
    text = (template / name).read_text()
    assert before in text, name
    (template / name).write_text(text.replace(before, after, 1))


def move(template: Path, name: str, new_name: str) -> None:
    (template / new_name).parent.mkdir(parents=True, exist_ok=True)
    (template / name).rename(template / new_name)


CRATE = "template/src/{{ canister_name }}"
ICP_YAML = "template/{% if icp_cli %}icp.yaml{% endif %}.jinja"
BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a question removed": (lambda new: ask(new, timers=None), "question timers is gone"),
    "a question renamed": (
        lambda new: ask(new, timers=None, ic_timers={"type": "bool", "default": True}),
        "question timers is gone",
    ),
    "a type changed": (lambda new: ask(new, timers={"type": "str", "default": "yes"}), "`type` of timers was bool"),
    "an answer no longer recorded": (lambda new: ask(new, gzip={"secret": True}), "`secret` of gzip"),
    "an answer forgotten": (lambda new: ask(new, gzip={"when": "{{ shrink }}"}), "`when` of gzip"),
    "a new question without a default": (lambda new: ask(new, colour={"type": "str"}), "colour has no default"),
    "a new question that refuses its default": (
        lambda new: ask(new, colour={"type": "str", "default": "red", "choices": ["green", "blue"]}),
        "colour refuses its own default, 'red'",
    ),
    "a default that is not valid": (
        lambda new: ask(new, wasm_memory_limit={"default": "6 apples"}),
        "wasm_memory_limit refuses its own default, '6 apples'",
    ),
    "choices where any text was taken": (
        lambda new: ask(new, wasm_memory_limit={"choices": ["4 GiB", "6 GiB"]}),
        "wasm_memory_limit no longer takes",
    ),
    "a yes that is refused": (
        lambda new: ask(new, gzip={"default": False, "validator": "{{ 'Not any more.' if gzip else '' }}"}),
        "gzip no longer takes True, ",
    ),
    "a longest name that is shorter": (
        lambda new: edit(new, "includes/names.jinja", "longest_canister_name = 64", "longest_canister_name = 63"),
        "canister_name no longer takes 'aaaa",
    ),
    "a letter less for a name": (
        lambda new: edit(new, "includes/names.jinja", "^[a-z][a-z0-9_]*", "^[a-y][a-z0-9_]*"),
        "canister_name no longer takes 'z",
    ),
    "a hyphen less for a name": (
        lambda new: edit(new, "includes/names.jinja", "^[a-z][a-z0-9_-]*", "^[a-z][a-z0-9_]*"),
        "project_name no longer takes",
    ),
    "a name reserved": (
        lambda new: edit(new, "includes/names.jinja", "abstract as", "abstract clock as"),
        "_name no longer takes 'clock', ",
    ),
    "a lower memory limit": (
        lambda new: edit(new, "includes/memory.jinja", "2 ** 48", "2 ** 48 - 1"),
        "wasm_memory_limit no longer takes '256 TiB' and",
    ),
    "a memory limit of at least something": (
        lambda new: edit(new, "includes/memory.jinja", "^([0-9]+)", "^([1-9][0-9]*)"),
        "wasm_memory_limit no longer takes '0' and",
    ),
    "a unit less for the memory limit": (
        lambda new: edit(new, "includes/memory.jinja", "[KkMmGgTt", "[KMmGgTt"),
        "wasm_memory_limit no longer takes",
    ),
    "a blank that the memory limit needs": (
        lambda new: edit(new, "includes/memory.jinja", "(?: *(", "(?: +("),
        "wasm_memory_limit no longer takes",
    ),
    "a file of the crate moved": (
        lambda new: move(new, f"{CRATE}/src/lib.rs.jinja", f"{CRATE}/lib.rs.jinja"),
        "src/hello_backend/src/lib.rs is no longer generated",
    ),
    "a file of the crate that updates leave out": (
        lambda new: edit(new, "copier.yml", "_external_data:", '_exclude: ["/src/*/Cargo.toml"]\n_external_data:'),
        "src/hello_backend/Cargo.toml is no longer generated",
    ),
    "a file renamed": (
        lambda new: move(new, "template/build.sh", "template/compile.sh"),
        "build.sh is no longer generated",
    ),
    "a file removed": (lambda new: (new / "template/.gitignore").unlink(), ".gitignore is no longer generated"),
    "a file for fewer answers": (
        lambda new: move(new, ICP_YAML, ICP_YAML.replace("if icp_cli", "if icp_cli and timers")),
        "icp.yaml is no longer generated",
    ),
}
HARMLESS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda new: None,
    "a question added": lambda new: ask(new, colour={"type": "str", "default": "red", "choices": ["red", "green"]}),
    "a help reworded": lambda new: ask(new, timers={"help": "Timers? Can be changed later."}),
    "a default changed": lambda new: ask(new, timers={"default": False}, wasm_memory_limit={"default": "4 GiB"}),
    "a longest name that is longer": lambda new: edit(
        new, "includes/names.jinja", "longest_canister_name = 64", "longest_canister_name = 80"
    ),
    "a keyword less": lambda new: edit(new, "includes/names.jinja", " gen ", " "),
    "a higher memory limit": lambda new: edit(new, "includes/memory.jinja", "2 ** 48", "2 ** 50"),
    "no validator any more": lambda new: ask(new, wasm_memory_limit={"validator": ""}),
    "a file added": lambda new: (new / "template/NOTES.md").write_text("# Notes\n"),
    "a file that becomes a template": lambda new: move(new, "template/build.sh", "template/build.sh.jinja"),
    "a file for more answers": lambda new: move(new, ICP_YAML, "template/icp.yaml.jinja"),
}


@pytest.mark.parametrize(("change", "named"), BREAKS.values(), ids=BREAKS)
def test_a_break_is_named(template: Path, tmp_path: Path, change: Callable[[Path], object], named: str) -> None:
    new = copied(template, tmp_path / "new")
    change(new)
    broken = broken_promises(template, new)
    assert broken
    assert all(named in sentence for sentence in broken), broken


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_change_breaks_nothing(template: Path, tmp_path: Path, change: Callable[[Path], object]) -> None:
    new = copied(template, tmp_path / "new")
    change(new)
    assert broken_promises(template, new) == []


@pytest.mark.parametrize(
    ("offered", "left"),
    [
        (["red", "green"], ["red"]),
        ([["Red", "red"], ["Green", "green"]], {"Red": "red"}),
        ({"Red": "red", "Green": {"value": "green"}}, {"Red": "red", "Green": {"value": "green", "validator": "No."}}),
        ("{{ ['red', 'green'] | to_json }}", "[red]"),
    ],
    ids=str,
)
def test_a_choice_removed_is_named(template: Path, tmp_path: Path, offered: object, left: object) -> None:
    old, new = copied(template, tmp_path / "old"), copied(template, tmp_path / "new")
    ask(old, colour={"type": "str", "default": "red", "choices": offered})
    ask(new, colour={"type": "str", "default": "red", "choices": left})
    (sentence,) = broken_promises(old, new)
    assert "colour no longer takes 'green', " in sentence
    assert broken_promises(new, old) == []


@pytest.mark.parametrize(
    ("heading", "crossing", "advice"),
    [
        ("2.0.0, 2027-01-01", "test_crossing_to_2", None),
        ("3.0.0", "test_crossing_to_3", None),
        ("2.0.0", "test_crossing_to_1", "add test_crossing_to_2 to tests/test_update.py"),
        ("2.0.0", "test_crossing_to_20", "add test_crossing_to_2 to tests/test_update.py"),
        ("1.1.0", "test_crossing_to_2", "start CHANGELOG.md with `## 2.0.0`. It starts with `## 1.1.0`"),
        ("Unreleased", "test_crossing_to_2", "start CHANGELOG.md with `## 2.0.0`"),
    ],
)
def test_a_break_takes_a_major_version_and_a_test_for_the_crossing(
    template: Path, tmp_path: Path, heading: str, crossing: str, advice: str | None
) -> None:
    new = copied(template, tmp_path / "new")
    edit(new, "CHANGELOG.md", "\n## ", f"\n## {heading}\n\n## ")
    (new / "tests/test_update.py").write_text(f"def {crossing}(start: Generate) -> None: ...\n")
    assert unannounced("1.0.0", template, new) == []
    (new / "template/build.sh").unlink()
    broken = unannounced("1.0.0", template, new)
    if advice is None:
        assert broken == []
    else:
        assert "build.sh" in broken[0]
        assert advice in broken[1]


def test_the_comparison_knows_the_files_that_copier_generates(template: Path) -> None:
    assert files(template, default_answers(template)) == FILES - BY_PROGRAMS
