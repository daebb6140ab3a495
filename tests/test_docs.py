"""The documents say what is so; tests/test_readme.py is about the README."""

import re

from conftest import ROOT, Generate

README = (ROOT / "README.md").read_text()


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for document in (README, (ROOT / "CONTRIBUTING.md").read_text()):
        for target in re.findall(r"(?:^    |`)make ([a-z-]+)", document, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_to_a_file_leads_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_the_generated_readme_names_what_is_there(generate: Generate) -> None:
    project = generate(canister_name="greeter")
    readme = (project / "README.md").read_text()
    assert readme.startswith("# hello\n")
    for name in re.findall(r"`([\w.-]+\.(?:toml|yml|did|rs|json|sh|hbs))`", readme):
        assert list(project.rglob(name)), name
