"""Render the template as it is in the work tree."""

import warnings
from pathlib import Path

import copier
from copier.errors import DirtyLocalWarning
from workspace import ROOT


def render(destination: Path, **answers: str | bool) -> Path:
    """Write a project to `destination` with these answers, defaults for the rest, and return `destination`.

    A file that is already there is overwritten. Raises `ValueError` or a `CopierError` for an answer that is refused.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        copier.run_copy(
            str(ROOT),
            destination,
            data=answers,
            vcs_ref="HEAD",
            defaults=True,
            overwrite=True,
            quiet=True,
            unsafe=False,
        )
    return destination
