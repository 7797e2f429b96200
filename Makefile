# Everything a person or a machine does to this project. `make` alone says what there is.
# The virtual environment is the project's own; it is filled again when pyproject.toml changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BASE   := $(VENV)/.stamp-base
DEV    := $(VENV)/.stamp-dev
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-stop test test-system check floors format clean

# One line, or nothing. Debian keeps ensurepip in a package of its own.
problem = $(shell \
    command -v $(PYTHON) >/dev/null 2>&1 \
        || { echo "no $(PYTHON) on this machine: apt install python3 python3-venv"; exit; }; \
    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || { echo "$(PYTHON) is older than 3.11: name a newer one, as in make PYTHON=python3.11"; exit; }; \
    $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
        || echo "$(PYTHON) makes no virtual environment: apt install python3-venv")
need_python = $(eval found := $(problem))$(if $(found),$(error $(found)))

help:  ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

venv: $(BASE)  ## make .venv and install rexec into it
	@echo "installed: $(BIN)/rexec, $(BIN)/rexec-server, $(BIN)/rexec-keygen"

$(BASE): pyproject.toml
	$(need_python)
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -e .
	@touch $@

$(DEV): pyproject.toml
	$(need_python)
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -e '.[test,check]'
	@touch $(BASE) $@

demo: $(BASE)  ## start a server on loopback, run three commands through it, leave it running
	@$(BIN)/python scripts/demo.py start

demo-stop:  ## end the server of the demo
	@$(PYTHON) scripts/demo.py stop

test: $(DEV)  ## run every test that needs nothing but pip
	@$(BIN)/pytest -m "not system" -n auto --dist loadgroup --max-worker-restart 0

test-system: $(DEV)  ## run the tests that need root and Debian packages
	@test "$$(id -u)" = 0 || { echo "rexec: make test-system needs root" >&2; exit 1; }
	@{ command -v ssh-keygen && command -v ssh-agent && command -v vim.tiny && command -v top; } >/dev/null \
	    || { apt-get update -qq && apt-get install -qq -y openssh-client vim-tiny procps >/dev/null; }
	@$(BIN)/pytest -m system

check: $(DEV) floors  ## look at format, lint, types and the floors of the architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy rexec scripts

floors: $(DEV)  ## see that every import goes down
	@$(BIN)/pytest tests/test_floors.py

format: $(DEV)  ## lay out the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: demo-stop  ## remove what was made here, but for the keys
	@rm -rf $(VENV) .demo build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
