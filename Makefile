# make setup | demo | test | lint | bench: each makes what it needs, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

help:
	@echo "make setup   .venv with everything that the demo and the tests need"
	@echo "make demo    replay bundled recordings; writes out/demo.html"
	@echo "make test    the fast tests"
	@echo "make lint    style, types, import rules"
	@echo "make bench   how many times faster than real time a replay runs"

setup: $(VENV)/.done

# An interrupted installation leaves no mark, so the next call goes on where it stopped.
$(VENV)/.done: pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
	  { echo "posewire needs Python 3.11, found '$(PYTHON)'; try: make setup PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev,azure]'
	@$(BIN)/posewire models pull || echo "cameras need this network; later: $(BIN)/posewire models pull"
	@touch $@

demo: setup
	@mkdir -p out
	$(BIN)/posewire replay stream/demo --config stream/demo/demo.toml --speed 4 --out out/demo.ndjson --report out/demo.html

test: setup
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder --timeout 300

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/posewire bench replay

clean:
	rm -rf $(VENV) out *.egg-info
