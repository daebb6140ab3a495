# make hello   generate a project, build it for wasm64, run it and print its answer
# make test    all tests; make test-fast  those that need no Rust
# make bench   measure instructions and size, and write docs/reference/benchmark.* (some five minutes)
# make picture draw the README's picture anew, from a real run
# make docs    write the reference pages anew, and the site to build/docs
# make lock    render the template's Cargo.lock anew after a pin of a crate moved
# make outdated  tell which pins are behind; make pins  move them too, ending in the tests; make pins PINS="NAME..."  only these
# make format  format this repository's Python and Rust; make requirements  lock the packages of pyproject.toml

NAME = hello
PYTHON ?= python3
PYTEST = .venv/bin/python -m pytest

REQUIREMENTS = requirements.txt

export NAME PYTHON

.PHONY: hello test test-fast bench docs picture lock outdated pins format requirements

hello:
	@tools/setup.sh python rust
	@.venv/bin/python tools/hello.py

test:
	@tools/setup.sh
	$(PYTEST) -n 2 --dist loadgroup

test-fast:
	@tools/setup.sh python go
	$(PYTEST) -n 3 --dist worksteal -m "not rust"

bench:
	@tools/setup.sh
	@.venv/bin/python tools/bench.py

picture:
	@tools/setup.sh python rust
	@.venv/bin/python tools/picture.py

docs:
	@tools/setup.sh python
	@.venv/bin/python tools/reference.py
	@.venv/bin/sphinx-build -n -W --keep-going -q -b html -d build/doctrees docs build/docs

lock:
	@tools/setup.sh python rust
	.venv/bin/python tools/lock.py

outdated:
	@tools/setup.sh
	@.venv/bin/python tools/pins.py $(PINS)

# A pin that could not be looked up (exit code 3) keeps the others neither from moving nor from the tests.
pins:
	@tools/setup.sh
	@.venv/bin/python tools/pins.py --move $(PINS); pins=$$?; \
	[ $$pins -eq 0 ] || [ $$pins -eq 3 ] || exit $$pins; \
	$(PYTEST) -q tests/test_bench.py || $(MAKE) bench && \
	$(MAKE) docs picture test && exit $$pins

format:
	.venv/bin/ruff format
	.venv/bin/ruff check --fix
	rustup run $$(sed -n 's/^channel = "\(.*\)"/\1/p' template/rust-toolchain.toml) rustfmt --edition=2024 \
	  tools/native/src/main.rs tools/workloads/src/lib.rs

requirements:
	uv pip compile $(UPGRADE) --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml --output-file $(REQUIREMENTS)
