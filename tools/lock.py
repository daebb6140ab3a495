"""Write the template's Cargo.lock from the pins in its Cargo.toml.

Cargo itself resolves a rendered project, once with timers and once without. It starts from the present lock, so that
only what a moved pin demands changes.
"""

import tempfile
from pathlib import Path

from render import render
from workspace import TEMPLATE, cargo

LOCK = TEMPLATE / "Cargo.lock.jinja"
CANISTER = "hello_backend"
SEPARATOR = "\n\n"


def resolve(timers: bool) -> list[str]:
    """Cargo.lock of a project with these answers: its head, then one text for each package in Cargo's order."""
    with tempfile.TemporaryDirectory() as folder:
        project = render(Path(folder) / "hello", canister_name=CANISTER, timers=timers)
        cargo("metadata", "--format-version=1", cwd=project)
        return (project / "Cargo.lock").read_text().strip().split(SEPARATOR)


def merge(with_timers: list[str], without: list[str]) -> str:
    """The text of `Cargo.lock.jinja` for two locks as `resolve` gives them."""

    def choose(package: str) -> str:
        if package in with_timers and package in without:
            return package
        return f"{{% {'if' if package in with_timers else 'if not'} timers %}}\n{package}\n\n{{% endif %}}"

    (head, *packages), (_, *others) = with_timers, without
    union = sorted({*packages, *others})
    body = SEPARATOR.join(map(choose, union)).replace("{% endif %}\n\n", "{% endif %}\n")
    body = body.replace(f'name = "{CANISTER}"', 'name = "{{ canister_name }}"')
    return (
        "{#- Written by `make lock`. Cargo sorts packages by name, so the canister's place depends on its name. -#}\n"
        f"{{% set packages %}}\n{body}\n{{% endset %}}\n"
        f'{head}\n\n{{{{ packages.strip().split("\\n\\n") | sort(case_sensitive=true) | join("\\n\\n") }}}}\n'
    )


def main() -> None:
    """Write the template of the lock."""
    LOCK.write_text(merge(resolve(True), resolve(False)))


if __name__ == "__main__":
    main()
