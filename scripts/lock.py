"""Write the template's Cargo.lock from the versions in its Cargo.toml: `make lock`.

Cargo resolves one project for each combination of the answers that add a crate. It starts from the present lock, to
change only what a moved pin needs, and with all of these crates, so that an answer adds crates and changes no others.
"""

from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import jinja2
import jinja2.meta
import yaml

from scripts.workspace import ROOT, TEMPLATE, cargo, copy_template, render

LOCK = TEMPLATE / "Cargo.lock.jinja"
CANISTER = "hello_backend"
SEPARATOR = "\n\n"
Answers = tuple[bool, ...]


def questions() -> list[str]:
    """Return the yes/no questions whose answers add crates: those that a Cargo.toml of the template reads."""
    environment = jinja2.Environment()
    manifests = [environment.parse(path.read_text()) for path in TEMPLATE.rglob("Cargo.toml.jinja")]
    names = set().union(*map(jinja2.meta.find_undeclared_variables, manifests))
    settings = yaml.safe_load((ROOT / "copier.yml").read_text())
    return [name for name, question in settings.items() if name in names and question["type"] == "bool"]


def resolve_all(names: list[str]) -> dict[Answers, list[str]]:
    """Return the lock for each combination of answers: its first lines, then the text of each package."""
    locks: dict[Answers, list[str]] = {}
    start = None
    for answers in product((True, False), repeat=len(names)):
        with TemporaryDirectory() as folder:
            template = copy_template(Path(folder) / "template")
            given = dict(zip(names, answers, strict=True))
            lock = render(template, Path(folder) / "hello", canister_name=CANISTER, **given) / "Cargo.lock"
            lock.write_text(start or lock.read_text())
            cargo("metadata", "--format-version=1", cwd=lock.parent)
            start = start or lock.read_text()
            locks[answers] = lock.read_text().strip().split(SEPARATOR)
    return locks


def condition(names: list[str], wanted: set[Answers]) -> str:
    """Return the Jinja condition for these answers, such as `timers and not pocket_ic`, or "" if it is always true."""
    matter = [n for n in range(len(names)) if {(*a[:n], not a[n], *a[n + 1 :]) for a in wanted} != wanted]
    terms = {tuple(names[n] if answers[n] else f"not {names[n]}" for n in matter) for answers in wanted}
    return " or ".join(map(" and ".join, sorted(terms)))


def merge(names: list[str], locks: dict[Answers, list[str]]) -> str:
    """Return the text of Cargo.lock.jinja for the locks that `resolve_all` returns."""

    def choose(package: str) -> str:
        test = condition(names, {answers for answers, packages in locks.items() if package in packages})
        return f"{{% if {test} %}}\n{package}\n\n{{% endif %}}" if test else package

    packages = sorted({package for _, *packages in locks.values() for package in packages})
    body = SEPARATOR.join(map(choose, packages)).replace("{% endif %}\n\n", "{% endif %}\n")
    body = body.replace(f'name = "{CANISTER}"', 'name = "{{ canister_name }}"')
    head = next(iter(locks.values()))[0]
    return (
        "{#- Written by `make lock`. Cargo sorts packages by name, so the canister's place depends on its name. -#}\n"
        f"{{% set packages %}}\n{body}\n{{% endset %}}\n"
        f'{head}\n\n{{{{ packages.strip().split("\\n\\n") | sort(case_sensitive=true) | join("\\n\\n") }}}}\n'
    )


if __name__ == "__main__":
    names = questions()
    LOCK.write_text(merge(names, resolve_all(names)))
