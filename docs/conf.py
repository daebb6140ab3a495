"""The documentation as a site: `make docs`."""

import os
import re
from pathlib import Path

from docutils import nodes
from pygments.lexer import inherit
from pygments.lexers.shell import BashLexer
from pygments.lexers.special import TextLexer
from pygments.token import Name
from sphinx.application import Sphinx

project = "wasm64 canister template"
changelog = Path(__file__).parents[1] / "CHANGELOG.md"
(release, *_) = re.findall(r"^## (\d+\.\d+\.\d+)", changelog.read_text(), re.MULTILINE)
extensions = ["myst_parser", "sphinx_copybutton"]
myst_heading_anchors = 3
myst_html_meta = {
    "description": "Give a Rust canister on the Internet Computer more than 4 GiB of heap: start a new one, or move yours."
}
smartquotes = False  # The output of programs stays as it is.

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False

# On GitHub, the pages name the repository whose workflow builds them. Elsewhere, the word TEMPLATE stays.
REPOSITORY = "/".join(filter(None, map(os.environ.get, ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY"))))
LINK = {"name": "Repository", "url": REPOSITORY, "html": REPOSITORY, "class": ""}
html_theme_options = {"footer_icons": [LINK] if REPOSITORY else []}


class CommandsLexer(BashLexer):
    """Colours the program at the start of a line and its options, in addition to what Bash defines."""

    tokens = {"root": [(r"^[\w./-]+(?= )", Name.Function), (r"(?<= )--?[\w-]+", Name.Attribute), inherit]}  # noqa: RUF012


def name_repository(source: list[str]) -> None:
    """Write the repository's address in place of the word TEMPLATE in a page."""
    source[0] = re.sub(r"\bTEMPLATE\b", REPOSITORY or "TEMPLATE", source[0])


def mark_commands(page: nodes.document) -> None:
    """Set the language of the indented blocks, which have commands."""
    for block in page.findall(nodes.literal_block):
        if block.get("language") == "none":
            block["language"] = "commands"


def setup(app: Sphinx) -> None:
    app.add_lexer("commands", CommandsLexer)
    app.add_lexer("candid", TextLexer)  # Pygments has no lexer for Candid.
    app.connect("doctree-read", lambda app, page: mark_commands(page))
    app.connect("source-read", lambda app, page, source: name_repository(source))
    app.connect("include-read", lambda app, path, page, source: name_repository(source))
