"""A later version of the template, with a change at the start of each file."""

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
"""A comment for each kind of file. Other files get `# CHANGED`."""


def change_each_file(template: Path) -> None:
    """Add a comment at the start of each file in the folder `template`, and change the pins."""
    for path in [path for path in template.rglob("*") if path.is_file() and "_copier_conf" not in path.name]:
        suffix = Path(path.name.removesuffix(".jinja").replace("{% endif %}", "")).suffix
        if suffix == ".json":
            replace(path, '"type": "custom",\n', '"type": "custom",\n      "optimize": "CHANGED",\n')
        else:
            comment = COMMENTS.get(suffix, "# CHANGED")
            path.write_text(re.sub(r"\A(#!.*\n)?", rf"\g<0>{comment}\n", path.read_text()))
    replace(template / "rust-toolchain.toml", f'"{nightly()}"', '"nightly-2027-01-01"')
    manifest = template / "Cargo.toml.jinja"
    manifest.write_text(re.sub(r'^ic-cdk = ".*"$', 'ic-cdk = "=0.99.0"', manifest.read_text(), flags=re.MULTILINE))
