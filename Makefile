# One word per chore. Needs only make and Python 3.11 or newer.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Tests that nothing beside them disturbs; all cores share them.
UNDISTURBED := tests/backup tests/client tests/config tests/core tests/gateway tests/machine tests/recipes tests/sim \
	tests/storage tests/wire

.PHONY: help run check fix test slow test-compose sim-short sim bench clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer was found; install one, or call make PYTHON=/path/to/it"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev --editable .
	touch $@

run: $(VENV)/installed ## a whole cluster on this machine, with its leader killed on the way
	$(BIN)/paxosd local --requests 5000 --kill-leader

check: $(VENV)/installed ## lint, format and types; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(VENV)/installed ## mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(VENV)/installed ## all tests that need no Docker, but the slow ones
	$(PYTEST) -m "not slow and not compose" -n logical --dist worksteal $(UNDISTURBED)
	$(PYTEST) -m "not slow and not compose" $(UNDISTURBED:%=--ignore=%)

slow: $(VENV)/installed ## long runs with real processes that are killed, stopped and cut off
	$(PYTEST) -m slow

test-compose: $(VENV)/installed ## the cluster in containers; needs a Docker Engine
	$(PYTEST) -m compose

sim-short: $(VENV)/installed ## simulated faults: 300 fixed seeds and 30 that nobody has seen
	$(BIN)/paxosd sim --seeds 300 --fresh 30

sim: $(VENV)/installed ## ten minutes: simulated faults, planted bugs, every interleaving of a small world
	$(BIN)/paxosd sim --gate --minutes 10

bench: $(VENV)/installed ## a quarter of an hour: measure this machine, beside etcd and others (bench/README.md)
	$(BIN)/python -m bench

clean: ## forget the virtual environment and the caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
