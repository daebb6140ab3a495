"""Run a validator of copier.yml alone, which takes a thousandth of the time of an update."""

from functools import cache
from pathlib import Path

import jinja2
import yaml
from jinja2.sandbox import SandboxedEnvironment
from jinja2_ansible_filters import AnsibleCoreFiltersExtension

from tests.support.projects import Answers

ANSWERS_FILE = ".copier-answers.yml"


@cache
def configuration(template: Path) -> dict[str, dict]:
    """Return the parsed copier.yml of a template."""
    return yaml.safe_load((template / "copier.yml").read_text())


@cache
def recorded(project: Path) -> Answers:
    """Return the content of a project's answers file."""
    return yaml.safe_load((project / ANSWERS_FILE).read_text())


@cache
def validator(template: Path, question: str) -> jinja2.Template:
    """Return the compiled validator of a question."""
    environment = SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(template),
        extensions=[AnsibleCoreFiltersExtension],
        auto_reload=False,
        **configuration(template)["_envops"] | {"undefined": jinja2.StrictUndefined},
    )
    return environment.from_string(configuration(template)[question].get("validator", ""))


def refusal(template: Path, project: Path, answers: Answers, question: str, answer: str | bool) -> str:
    """Return the refusal of an answer, or "" if the question accepts it.

    `project` is the folder to copy to or to update. `answers` are its recorded answers.
    """
    conf = {"dst_path": project, "answers_file": ANSWERS_FILE, "defaults": True, "data": {question: answer}}
    context = {"_copier_conf": conf, "_external_data": {"recorded": answers}, "existing": False}
    return validator(template, question).render(context | answers | {question: answer}).strip()
