"""The documentation as a site: `make docs`."""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "wasm64 canister template"
extensions = ["myst_parser"]
myst_heading_anchors = 3
smartquotes = False  # What programs say stays as it is.
highlight_language = "none"  # Of the indented blocks, which are commands.

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    app.add_lexer("candid", TextLexer)  # Pygments has none for it.
