"""Stands in for GitHub's `gh`, as far as the workflows call it: the issues are in the JSON file that GH_ISSUES names."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ISSUES = Path(os.environ["GH_ISSUES"])
AUTHOR = "app/github-actions"
"""Who opens an issue with the token of a workflow."""


def list_issues(issues: list[dict], options: argparse.Namespace) -> None:
    state = options.state.upper()
    found = [issue for issue in issues if state in (issue["state"], "ALL") and issue["author"] == f"app/{options.app}"]
    shown = [{field: issue[field] for field in options.json.split(",")} for issue in reversed(found)]
    jq = ["jq", "--raw-output", options.jq]
    subprocess.run(jq, input=json.dumps(shown[: options.limit]), text=True, check=True)


def create(issues: list[dict], options: argparse.Namespace) -> None:
    body = Path(options.body_file).read_text()
    number = len(issues) + 1
    issues.append({"number": number, "state": "OPEN", "title": options.title, "body": body, "author": AUTHOR})


def edit(issues: list[dict], options: argparse.Namespace) -> None:
    issues[options.number - 1] |= {"title": options.title, "body": Path(options.body_file).read_text()}


def close(issues: list[dict], options: argparse.Namespace) -> None:
    issues[options.number - 1] |= {"state": "CLOSED", "comment": options.comment}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(allow_abbrev=False)
    commands = top.add_subparsers(required=True).add_parser("issue").add_subparsers(required=True)
    for name, function, options in (
        ("list", list_issues, ("--app", "--state", "--json", "--jq")),
        ("create", create, ("--title", "--body-file")),
        ("edit", edit, ("--title", "--body-file")),
        ("close", close, ("--comment",)),
    ):
        command = commands.add_parser(name, allow_abbrev=False)
        command.set_defaults(function=function)
        for option in options:
            command.add_argument(option, required=True)
        if name == "list":
            command.add_argument("--limit", type=int, default=30)
        if name in ("edit", "close"):
            command.add_argument("number", type=int)
    return top


if __name__ == "__main__":
    if not os.environ.get("GH_TOKEN") or not os.environ.get("GH_REPO"):
        sys.exit("gh: no GH_TOKEN or no GH_REPO")
    options = parser().parse_args()
    issues = json.loads(ISSUES.read_text()) if ISSUES.exists() else []
    options.function(issues, options)
    ISSUES.write_text(json.dumps(issues, indent=2))
