# Everything is installed into this checkout: .venv for Python, .cache for the real parts of the tests.
# The lock files pin every version by hash; `make lock` writes them anew.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
# Hashes alone decide what is installed, so a mirror is as good as PyPI.
INSTALL := $(PIP) install --require-hashes
# PyPI alone decides what is locked, whatever else this machine's pip is told to look into.
COMPILE := env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL -u PIP_INDEX_URL PIP_CONFIG_FILE=/dev/null \
  CUSTOM_COMPILE_COMMAND='make lock' .cache/pip-tools/bin/pip-compile --quiet --generate-hashes --strip-extras \
  --allow-unsafe --no-emit-options $(ARGS)

# A stamp is newer than everything that its step was made from.
MADE := .venv/.made
RUNTIME := .venv/.runtime
DEV := .venv/.dev

.PHONY: help run test lint bench bench-peers chaos lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  ARGS="…" is handed on by run, test, bench, chaos and lock: make test ARGS="tests/domain -x"'

run: $(RUNTIME) ## serve config/demo.yaml, which prints its calls and tickets
	@echo 'Send it a first alert, from another terminal in this folder:'
	@echo '  curl --data-binary @config/first-alert.json http://127.0.0.1:9095/webhook'
	@echo
	@$(BIN)/sevrouter serve --config config/demo.yaml $(ARGS)

test: $(DEV) ## run every test, with a real Prometheus and Alertmanager
	@tests/real/fetch.sh
	@$(BIN)/python -m pytest $(ARGS)

lint: $(DEV) ## check style, formatting, types and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: bench-peers ## measure beside the peers, and write docs/performance.md; twelve minutes, ARGS=--quick four
	@$(BIN)/python -m tests.benchmarks $(ARGS)

bench-peers: $(DEV) ## fetch what is measured beside: Alertmanager and alerta
	@tests/real/fetch.sh
	@PYTHON=$(PYTHON) tests/benchmarks/install_alerta.sh

chaos: $(DEV) ## kill replicas and PostgreSQL 10,000 times, and check every promise (ARGS="--kills 500 --seed 7")
	@$(BIN)/python -m tests.chaos $(ARGS)

lock: ## pin the dependencies anew from pyproject.toml (ARGS=--upgrade for the newest)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo >&2 'The locks are made with Python 3.11, the oldest one that they must serve: make lock PYTHON=python3.11'; \
	  exit 1; }
	@test -x .cache/pip-tools/bin/pip-compile || { $(PYTHON) -m venv .cache/pip-tools; \
	  .cache/pip-tools/bin/python -m pip --quiet --quiet install pip-tools==7.6.2; }
	$(COMPILE) --output-file=requirements.lock pyproject.toml
	$(COMPILE) --output-file=requirements-dev.lock --extra=dev --constraint=requirements.lock pyproject.toml
	$(COMPILE) --output-file=requirements-build.lock --only-build-deps --build-deps-for=editable \
	  --constraint=requirements-dev.lock pyproject.toml
	$(COMPILE) --output-file=tests/benchmarks/alerta.lock tests/benchmarks/alerta.in

clean: ## remove all that make has installed or left behind, but not .data
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo >&2 "sevrouter needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo 'not here')."; \
	  echo >&2 'Name another one: make PYTHON=python3.13 …'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo >&2 "'$(PYTHON)' cannot make virtual environments: its venv module is missing."; \
	  echo >&2 'On Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
	@echo 'Making .venv …'
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@touch $@

$(RUNTIME): requirements.lock requirements-build.lock pyproject.toml | $(MADE)
	@echo 'Installing sevrouter into .venv …'
	@$(INSTALL) -r requirements-build.lock -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo 'Installing the development tools into .venv …'
	@$(INSTALL) -r requirements-dev.lock
	@touch $@
