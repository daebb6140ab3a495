"""A later version of the template, with a change at the start of every file."""

import re
from pathlib import Path

from scripts.workspace import nightly
from tests.support.projects import replace

COMMENTS = {
    ".rs": "// CHANGED",
    ".did": "// CHANGED",
    ".md": "<!-- CHANGED -->",
    ".hbs": "{{! CHANGED }}",
}
"""A comment with the word CHANGED by suffix; `# CHANGED` for the others."""


def change_each_file(template: Path) -> None:
    """Change each file below `template` (the folder of that name): a comment at its start, and the pins."""
    for path in [path for path in template.rglob("*") if path.is_file()]:
        name = Path(path.name.removesuffix(".jinja").replace("{% endif %}", ""))
        if name.name.startswith("{{ _copier_conf"):
            continue
        if name.suffix == ".json":
            replace(path, '"type": "custom",\n', '"type": "custom",\n      "optimize": "CHANGED",\n')
            continue
        text = path.read_text()
        start = "#!" if text.startswith("#!") else ""
        first, rest = text.split("\n", 1) if start else ("", text)
        path.write_text(f"{first}\n" * bool(start) + f"{COMMENTS.get(name.suffix, '# CHANGED')}\n{rest}")
    replace(template / "rust-toolchain.toml", f'"{nightly()}"', '"nightly-2027-01-01"')
    manifest = template / "Cargo.toml.jinja"
    manifest.write_text(re.sub(r'^ic-cdk = ".*"$', 'ic-cdk = "=0.99.0"', manifest.read_text(), flags=re.MULTILINE))
