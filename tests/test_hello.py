"""`make hello`: from nothing to a canister that answers."""

import os
import subprocess

import pytest
from conftest import ROOT

ANSWER = '("Hello, ICP! Powered by wasm64")'


def make_hello(name: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "hello", f"NAME={name}"]
    # `make test` sets variables that would make this one print more.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)


@pytest.mark.rust
def test_make_hello_ends_with_the_answer_and_does_no_work_twice() -> None:
    first, second = make_hello("made-by-a-test"), make_hello("made-by-a-test")
    for result in (first, second):
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[-1] == ANSWER
    assert "Generating" not in second.stdout
    assert "Compiling" not in second.stderr
    assert (ROOT / "build/made-by-a-test/src/made_by_a_test_backend").is_dir()


@pytest.mark.rust
@pytest.mark.parametrize("name", ["Hello", "match", "../hello", "a b"])
def test_make_hello_refuses_what_the_template_refuses(name: str) -> None:
    result = make_hello(name)
    assert result.returncode != 0
    assert result.stderr.startswith("NAME: Validation error for question 'project_name'")
