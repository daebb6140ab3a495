NAME = hello
PYTHON ?= python3
PYTEST = .venv/bin/python -m pytest
RUN = .venv/bin/python -m scripts
NIGHTLY = $(shell sed -n 's/^channel = "\(.*\)"/\1/p' template/rust-toolchain.toml)

export NAME PYTHON

.PHONY: help hello test test-fast check format bench picture docs lock requirements

help: # list these targets
	@sed -n 's/^\([a-z-]*\):.*# \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

hello: # generate the project build/NAME, build it, call its canister and print the answer
	@scripts/setup.sh python rust
	@$(RUN).demo

test: # run all tests
	@scripts/setup.sh
	$(PYTEST) -n 2 --dist loadgroup

test-fast: # run the tests that need no Rust
	@scripts/setup.sh python
	$(PYTEST) -n 3 --dist worksteal -m "not rust" tests

check: # run the linters, the formatters and the type checker
	@scripts/setup.sh python rust
	$(PYTEST) -q tests/repository/test_code.py

format: # format Python and Rust
	@scripts/setup.sh python rust
	.venv/bin/ruff format
	.venv/bin/ruff check --fix
	rustup run $(NIGHTLY) rustfmt --edition=2024 runtime/helper/src/main.rs scripts/workloads/src/lib.rs

bench: # measure instructions and sizes, and write docs/reference/benchmark.* (five minutes)
	@scripts/setup.sh
	@$(RUN).bench

picture: # draw the picture of README.md from a real run
	@scripts/setup.sh python helper
	@$(RUN).picture

docs: # build the site in build/docs
	@scripts/setup.sh python
	@.venv/bin/sphinx-build -n -W --keep-going -q -b html -d build/doctrees docs build/docs

lock: # write the template's Cargo.lock after you move the pin of a crate
	@scripts/setup.sh python rust
	@$(RUN).lock

requirements: # write requirements.txt with uv; UPGRADE=--upgrade moves the versions
	uv pip compile $(UPGRADE) --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url pyproject.toml --output-file requirements.txt
