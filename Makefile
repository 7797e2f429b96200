# Everything a person or a machine does to this project. `make` alone says what there is.
# The virtual environment is the project's own; it is filled again when pyproject.toml or a program in bin/ changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BASE   := $(VENV)/.stamp-base
DEV    := $(VENV)/.stamp-dev
FUZZ   := $(VENV)/.stamp-fuzz
BENCH  := $(VENV)/.stamp-bench
SCRIPTS := $(wildcard bin/rexec*)
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

# the scripts that an older pip writes import re, which costs every start of a client 3 ms
make_venv = $(PYTHON) -m venv $(VENV) && { $(PIP) install 'pip>=25' || true; }

FUZZ_SECONDS ?= 3600
FUZZ_TARGETS ?= allow-lists arguments authorized-keys client-handshake copies expressions frames keys known-hosts \
    lines server-handshake
SOAK_ROUNDS  ?= 20
CUTS         ?= 1000
ROUNDS       ?= 5
PACKAGES := openssh-client openssh-sftp-server vim-tiny procps asciinema rsync git borgbackup parallel mercurial ansible-core \
    iproute2 systemd subversion rdiff-backup restic unison duplicity pdsh clustershell pssh lftp bup mosh
SOAK := tests/process/test_swap.py $(patsubst %,tests/regress/test_%.py, every_run_is_whole ends_all_of_it \
    nothing_left_behind many_at_once rate parallel reload)

# What the tests import is compiled once, whoever works here.
export PYTHONDONTWRITEBYTECODE :=

# Most of the tests wait for processes: four run on two processors.
WORKERS ?= $(shell echo $$(($$(nproc) * 2)))

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-stop test test-system fuzz soak cuts lines bench bench-quick check floors format clean

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
	@echo "installed: $(BIN)/rexec, $(BIN)/rexec-ssh, $(BIN)/rexec-cp, $(BIN)/rexec-server, $(BIN)/rexec-keygen, $(BIN)/rexec-audit"

$(BASE): pyproject.toml $(SCRIPTS)
	$(need_python)
	@$(make_venv)
	@$(PIP) install -e .
	@touch $@

$(DEV): pyproject.toml $(SCRIPTS)
	$(need_python)
	@$(make_venv)
	@$(PIP) install -e '.[test,check]'
	@touch $(BASE) $@

$(FUZZ): pyproject.toml $(SCRIPTS)
	$(need_python)
	@$(make_venv)
	@$(PIP) install -e '.[test,check,fuzz]'
	@touch $(BASE) $(DEV) $@

$(BENCH): pyproject.toml $(SCRIPTS)
	$(need_python)
	@$(make_venv)
	@$(PIP) install -e '.[bench]' || $(PIP) install -e . # without a peer
	@touch $(BASE) $@

demo: $(BASE)  ## start a server on loopback, run three commands through it, leave it running
	@$(BIN)/python scripts/demo.py start

demo-stop:  ## end the server of the demo
	@$(PYTHON) scripts/demo.py stop

test: $(DEV)  ## run every test that needs nothing but pip
	@$(BIN)/pytest -m "not system" -n $(WORKERS) --dist loadgroup --max-worker-restart 0

test-system: $(DEV)  ## run the tests that need root and Debian packages
	@test "$$(id -u)" = 0 || { echo "rexec: make test-system needs root" >&2; exit 1; }
	@missing=$$($(BIN)/python -m tests.system.catalogue $(PACKAGES)); \
	    test -z "$$missing" || { apt-get update -qq \
	    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; }
	@REXEC_TEST_COLD=1 $(BIN)/pytest -m system

fuzz: $(FUZZ)  ## fuzz what reads hostile bytes, each target for FUZZ_SECONDS of CPU (an hour)
	@for target in $(FUZZ_TARGETS); do $(BIN)/python -m tests.fuzz.run $$target $(FUZZ_SECONDS) || exit 1; done

soak: $(DEV)  ## run the tests of races and leftovers SOAK_ROUNDS times (20)
	@for round in $$(seq $(SOAK_ROUNDS)); do echo "round $$round" && $(BIN)/pytest -x $(SOAK) || exit 1; done

cuts: $(DEV)  ## move CUTS (1,000) files over connections that break: each is whole, or 255
	@$(BIN)/python -m tests.regress.cuts --trials $(CUTS) --large $$(( $(CUTS) / 10 ))

lines: $(DEV)  ## move files and run commands, ROUNDS (5) of each kind, over bad lines between two namespaces
	@test "$$(id -u)" = 0 || { echo "rexec: make lines needs root" >&2; exit 1; }
	@$(BIN)/python -m tests.system.lines --rounds $(ROUNDS) --keepalive 0.5
	@$(BIN)/python -m tests.system.lines --rounds $(ROUNDS)

bench: $(BENCH)  ## measure rexec and its peers side by side (9 minutes, root)
	@$(BIN)/python -m bench.packages
	@$(BIN)/python -m bench

bench-quick: $(BENCH)  ## the same with few rounds (2 minutes)
	@$(BIN)/python -m bench.packages
	@$(BIN)/python -m bench --quick

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
