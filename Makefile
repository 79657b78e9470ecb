# One command each; every target makes what it needs. PYTHON names the interpreter the virtual environment is made with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8080
ROWS ?= 20000
export HOST PORT

.PHONY: run test lint types format setup peers diagrams conformance conformance-peers mutants bench bench-full bench-import clean

run: $(VENV)/.installed
	@$(BIN)/hextrackr-server serve --dev --host $(HOST) --port $(PORT) --database data/hextrackr.db

test: setup peers lint types
	$(BIN)/python -m pytest

# What the tests need beside Python: the official clients, and a PostgreSQL server to start.
setup: $(VENV)/.dev tests/interop/node_modules/.installed
	@scripts/check-postgres

# The servers that ours is compared with.
peers: $(VENV)/.dev tests/targets/node_modules/.installed
	@PYTHON=$(abspath $(BIN)/python) benchmarks/setup

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

diagrams: $(VENV)/.dev
	$(BIN)/python scripts/state_diagrams.py

# All dialogues against our own servers; `conformance-peers` writes spec-vectors/PEERS.md anew.
conformance: peers
	$(BIN)/python -m socketio_conformance --run "$(BIN)/python tests/targets/ours.py"

conformance-peers: peers
	$(BIN)/python -m socketio_conformance.peers

mutants: peers
	$(BIN)/python scripts/mutants.py

bench: peers
	$(BIN)/python -m benchmarks

bench-full: peers
	$(BIN)/python -m benchmarks --full

bench-import: setup
	$(BIN)/python -m benchmarks.import_latency --rows $(ROWS)

$(VENV)/.installed: pyproject.toml
	@scripts/check-python $(PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

%/node_modules/.installed: %/package.json %/package-lock.json
	@scripts/check-node
	@cd $* && npm ci --silent --no-audit --no-fund
	@touch $@

clean:
	rm -rf $(VENV) benchmarks/.venv tests/*/node_modules benchmarks/node_modules .mypy_cache .ruff_cache .pytest_cache
