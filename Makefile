# The front of the project: every verb a newcomer or CI needs. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
ML := .venv-ml
ML_STAMP := $(ML)/.stamp
DATA ?= demo

# Compiled once, at the installation: else each of the processes that the program and its tests start
# compiles what it imports, which takes longer than the work of many of them.
PIP_INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-ml soak check format docs bench bench-verdicts lock clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv with the locked packages and this project

$(STAMP): requirements/core.lock requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "needs python3 >= 3.11; on Debian or Ubuntu: apt-get install -y python3 python3-venv make git"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "needs the venv module; on Debian or Ubuntu: apt-get install -y python3-venv"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(PIP_INSTALL) --python $(BIN)/python --require-hashes -r requirements/core.lock -r requirements/dev.lock
	$(PIP_INSTALL) --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## generate a procedure and trainees, score them all, write reports
	$(BIN)/sopilot demo --data-dir $(DATA)

serve: setup ## run the service on the demo's data (http://127.0.0.1:8000/docs)
	$(BIN)/sopilot serve --data-dir $(DATA)

test: setup ## run the tests (SQLite; PostgreSQL where its binaries are found)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not soak and not ml" tests

test-ml: $(ML_STAMP) ## run the tests with a real model's server (torch, 1.8 GB in .venv-ml)
	SOPILOT_TEST_REQUIRE=ml OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(ML)/bin/python -m pytest -m ml tests/ml

# torch comes by itself, as the CPU build or not at all: the index has only the one for GPUs, so pip
# must be configured to find the other. What it imports is in ml.lock.
$(ML_STAMP): $(STAMP) requirements/ml.in requirements/ml.lock
	test -x $(ML)/bin/python || $(PYTHON) -m venv $(ML)
	$(PIP_INSTALL) --python $(ML)/bin/python --no-deps --require-hashes -r requirements/core.lock -r requirements/dev.lock -r requirements/ml.lock
	$(ML)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "$$(grep '^torch==' requirements/ml.in)"
	$(PIP_INSTALL) --python $(ML)/bin/python --no-deps --no-build-isolation -e .
	@touch $@

soak: setup ## run the long lists: hours of video, every kill, every truncation
	$(BIN)/python -m pytest -m soak tests

check: setup ## format, lint, types, layers, docs in step with the code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/docs_tables.py --check

format: setup ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## rewrite the generated tables in docs/ and .env.example
	$(BIN)/python scripts/docs_tables.py

bench: setup ## measure against the named peers; JSON under benchmarks/results/
	$(PIP_INSTALL) --python $(BIN)/python --no-deps -r requirements/bench.in
	$(BIN)/python -m benchmarks $(ARGS)

bench-verdicts: setup ## judge films with known truth; ARGS="handwash --check" for parts
	$(BIN)/python -m benchmarks.verdicts $(ARGS)

lock: setup ## resolve requirements/*.in into hashed lock files
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 -o requirements/core.lock requirements/core.in
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 -c requirements/core.lock -o requirements/dev.lock requirements/dev.in
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 -c requirements/core.lock -o requirements/asr.lock requirements/asr.in
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 -c requirements/core.lock -c requirements/dev.lock --overrides <(echo 'torch; sys_platform == "never"') -o requirements/ml.lock requirements/ml.in

clean: ## remove what the tools and the demo left
	rm -rf $(DATA) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
