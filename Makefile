# The commands of this repository; `make help` lists them. The environment lives in .venv.
#   make test PYTHON=python3.12 VENV=.venv312        another Python
#   make test PYTEST_ARGS="-k bundle -x" WORKERS=0   part of the tests, in one process

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PYTEST_ARGS ?=
DEMO_INPUT ?= examples/photos
DEMO_OUTPUT ?= build/demo

BIN := $(VENV)/bin
BQ := $(VENV)/.bqemulator
# The BigQuery emulator needs Python 3.11 or later, whatever the tests run with.
BQ_PYTHON ?= $(shell for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
  echo $$python && break; done)
SOURCES := model_lib beam_jobs train tests benchmarks setup.py
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types format bench bench-update bench-all bqemulator system-tools clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

# The stamps make a second call quick: pip runs again only when setup.py has changed.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "$(PYTHON) is not Python 3.10 to 3.13: make ... PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --upgrade pip

$(VENV)/.installed-job: setup.py pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: setup.py pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[train,dev]'
	@touch $@ $(VENV)/.installed-job

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(PIP_INSTALL) --editable '.[bench]'
	@touch $@

demo: $(VENV)/.installed-job  ## caption the sample photos into build/demo
	@rm -rf $(DEMO_OUTPUT)
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/caption-images --input $(DEMO_INPUT) --output $(DEMO_OUTPUT)
	@echo "report: $(CURDIR)/$(DEMO_OUTPUT)/report.html"

test: $(VENV)/.installed-dev bqemulator system-tools  ## run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  $(PYTEST_ARGS)

check: lint types test  ## what CI runs: lint, format, types, tests

lint: $(VENV)/.installed-dev  ## ruff: rules and format
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(VENV)/.installed-dev  ## mypy, strict
	$(BIN)/mypy

format: $(VENV)/.installed-dev  ## rewrite the sources as ruff wants them
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(VENV)/.installed-dev  ## a few ratios of speed against benchmarks/baseline.json
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -W ignore -m benchmarks.short

bench-update: $(VENV)/.installed-dev  ## measure the baseline anew, after a change that is meant
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -W ignore -m benchmarks.short --update

bench-all: $(VENV)/.installed-bench  ## everything in docs/performance.md, on a quiet machine
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -W ignore -m benchmarks.all

# The tests' BigQuery has other dependencies than we have, so it gets an environment of its own;
# DuckDB looks for its extensions below $HOME.
bqemulator: $(BQ)/.installed

$(BQ)/.installed: tests/services/bqemulator.txt | $(BIN)/python
	@if [ -z "$(BQ_PYTHON)" ]; then \
	  echo "no Python 3.11 or later: the tests that need BigQuery are skipped"; \
	else set -e; \
	  $(BQ_PYTHON) -m venv --clear $(BQ); \
	  $(BQ)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<; \
	  HOME=$(abspath $(BQ)) $(BQ)/bin/python -c \
	    "from duckdb_extensions import import_extension as add; add('avro'); add('spatial')"; \
	  touch $@; \
	fi

# The tests look at the report in a browser and score captions with Java programs. Debian's
# Chromium is installed where that needs no question; what is still missing is said aloud.
system-tools:
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null; \
	else echo "no chromium and chromedriver: the tests that look at pages will fail"; fi
	@command -v java >/dev/null || \
	  echo "no java: the tests that need METEOR or the Stanford tokenizer are skipped"

clean:  ## remove what was built; the environment stays
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
