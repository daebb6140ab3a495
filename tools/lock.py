"""Write the template's Cargo.lock from the pins in its Cargo.toml.

Cargo itself resolves a rendered project for each combination of the answers that add a crate. It starts from the present
lock, so that only what a moved pin demands changes; and from the lock of all these answers for the others, so that an answer
adds crates and changes none.
"""

import tempfile
from itertools import product
from pathlib import Path

from render import render
from workspace import TEMPLATE, cargo

LOCK = TEMPLATE / "Cargo.lock.jinja"
CANISTER = "hello_backend"
QUESTIONS = ("timers", "pocket_ic")
"""Those whose answers add a crate."""
SEPARATOR = "\n\n"

Answers = tuple[bool, ...]
"""To QUESTIONS, in their order."""


def resolve(answers: Answers, start: str | None = None) -> str:
    """Cargo.lock of a project with these answers, resolved from the lock `start` or else from the rendered one."""
    with tempfile.TemporaryDirectory() as folder:
        project = render(Path(folder) / "hello", canister_name=CANISTER, **dict(zip(QUESTIONS, answers, strict=True)))
        lock = project / "Cargo.lock"
        lock.write_text(start or lock.read_text())
        cargo("metadata", "--format-version=1", cwd=project)
        return lock.read_text()


def resolve_all() -> dict[Answers, list[str]]:
    """The lock for each combination of answers: its head, then one text for each package in Cargo's order."""
    most, *others = product((True, False), repeat=len(QUESTIONS))
    locks = {most: resolve(most)}
    locks |= {answers: resolve(answers, locks[most]) for answers in others}
    return {answers: lock.strip().split(SEPARATOR) for answers, lock in locks.items()}


def condition(wanted: set[Answers]) -> str:
    """What Jinja is to test for these answers and no others, such as `timers and not pocket_ic`; empty for all."""
    terms, covered = [], set()
    for term in sorted(
        product((None, True, False), repeat=len(QUESTIONS)), key=lambda term: len(term) - term.count(None)
    ):
        met = {answers for answers in product((True, False), repeat=len(QUESTIONS)) if meets(answers, term)}
        if met <= wanted and not met <= covered:
            terms.append(term)
            covered |= met
    return " or ".join(" and ".join(literals(term)) for term in terms)


def meets(answers: Answers, term: tuple[bool | None, ...]) -> bool:
    """Whether the answers are those of a term, in which None stands for either."""
    return all(wanted in (None, answer) for answer, wanted in zip(answers, term, strict=True))


def literals(term: tuple[bool | None, ...]) -> list[str]:
    """A term's answers in Jinja's words."""
    pairs = zip(QUESTIONS, term, strict=True)
    return [name if wanted else f"not {name}" for name, wanted in pairs if wanted is not None]


def merge(locks: dict[Answers, list[str]]) -> str:
    """The text of `Cargo.lock.jinja` for the lock of each combination of answers, as `resolve_all` gives them."""

    def choose(package: str) -> str:
        test = condition({answers for answers, packages in locks.items() if package in packages})
        return f"{{% if {test} %}}\n{package}\n\n{{% endif %}}" if test else package

    head = next(iter(locks.values()))[0]
    union = sorted({package for _, *packages in locks.values() for package in packages})
    body = SEPARATOR.join(map(choose, union)).replace("{% endif %}\n\n", "{% endif %}\n")
    body = body.replace(f'name = "{CANISTER}"', 'name = "{{ canister_name }}"')
    return (
        "{#- Written by `make lock`. Cargo sorts packages by name, so the canister's place depends on its name. -#}\n"
        f"{{% set packages %}}\n{body}\n{{% endset %}}\n"
        f'{head}\n\n{{{{ packages.strip().split("\\n\\n") | sort(case_sensitive=true) | join("\\n\\n") }}}}\n'
    )


def main() -> None:
    """Write the template of the lock."""
    LOCK.write_text(merge(resolve_all()))


if __name__ == "__main__":
    main()
