# Everything runs in an environment of its own, .venv; nothing but Python 3.11+ and make is needed.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
DIST := .cache/dist
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
CODE := bulk_sync tests sample_data

# A program that is started again and again needs its bytecode.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-page test lint format torture bench bench-vast mutants dist clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(VENV)/run.stamp ## show the whole job against a simulator, without credentials
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh sample_data/demo.sh

demo-page: $(VENV)/web.stamp ## serve the page with sample people, against a simulator
	@$(BIN)/python sample_data/demo_page.py

# One process more than cores, since some tests wait; each of them loads the program and its servers.
test: $(VENV)/dev.stamp ## run the whole test suite
	$(BIN)/pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist worksteal

lint: $(VENV)/dev.stamp ## check style, types, layers, the language of docstrings, and sizes
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/language.py
	$(BIN)/python tests/sizes.py

format: $(VENV)/dev.stamp ## put the code into its format
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

torture: $(VENV)/dev.stamp ## kill runs and the page at random moments; try many examples
	$(BIN)/python tests/torture.py
	$(BIN)/python tests/page_torture.py
	EXAMPLES_TIMES=25 $(BIN)/pytest -n 4 --dist worksteal -m hypothesis

bench: $(VENV)/dev.stamp ## measure speed and memory, as ratios against a reference
	$(BIN)/python tests/bench

bench-vast: $(VENV)/dev.stamp ## measure 100,000,000 rows; takes half an hour and 40 GB of disk
	$(BIN)/python tests/bench vast

mutants: $(VENV)/dev.stamp ## count how many of 300 small faults in the code the tests notice
	$(BIN)/python tests/bench/mutants.py

dist: ## build the wheel, and try it in an environment of its own
	rm -rf dist $(DIST)
	$(PYTHON) -m venv $(DIST)
	$(DIST)/bin/python -m pip wheel -q --disable-pip-version-check --no-deps -w dist .
	$(DIST)/bin/python -m pip install -q --disable-pip-version-check -c requirements.lock dist/*.whl
	@cd $(DIST) && bin/bulk-sync help && for topic in $$(bin/bulk-sync help | sed -n 's/^  \([a-z-]*\) .*/\1/p'); do \
	bin/bulk-sync help $$topic >$$topic.md || exit; echo "help $$topic: $$(wc -l <$$topic.md) lines"; done
	@PATH="$(CURDIR)/$(DIST)/bin:$$PATH" sh sample_data/demo.sh
	@ls -l dist

clean: ## remove the environment and all caches
	rm -rf $(VENV) dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# uv is used where it is present, because it is faster; the versions are those of the lock file. pip
# need not be in the environment if there is one outside, and what is never imported not compiled:
# that takes 20 of 50 seconds.
define install
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it: make PYTHON=..." >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@if command -v uv >/dev/null 2>&1; then \
	test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV) && \
	uv pip install -q --python $(BIN)/python -c requirements.lock -e '$(1)'; \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV) && \
	$(PYTHON) -m pip --python $(BIN)/python $(PIP_INSTALL) '$(1)'; \
	else \
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) && \
	$(BIN)/python -m pip $(PIP_INSTALL) '$(1)'; fi
endef

PIP_INSTALL := install -q --disable-pip-version-check --no-compile -c requirements.lock -e

$(VENV)/run.stamp: pyproject.toml requirements.lock
	$(call install,.)
	@touch $@

$(VENV)/web.stamp: pyproject.toml requirements.lock
	$(call install,.[web])
	@touch $@ $(VENV)/run.stamp

$(VENV)/dev.stamp: pyproject.toml requirements.lock
	$(call install,.[dev])
	@touch $@ $(VENV)/run.stamp $(VENV)/web.stamp
