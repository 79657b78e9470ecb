# Every target installs what it needs. Variables: PYTHON (the interpreter of the virtual environment), HOST, PORT, ROWS,
# TIME (with its unit: 90s, 10m, 1h), FULL, WRITE.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8080
ROWS ?= 100000
# Arguments of pytest. A test file runs in one process, because its tests share clients and servers.
PARALLEL := -n auto --dist loadfile
# The client that the playground loads from the hub.
CLIENT_DIST := $(CURDIR)/hextrackr_server/dashboard/node_modules/socket.io-client/dist
export HOST PORT
# Tests start many processes: without bytecode, each of them compiles the packages again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run dashboard binary binary-test setup quick test lint types format coverage proxies clients oldest pythons compiled conformance \
	conformance-peers mutants diagrams docs peers bench bench-full bench-scale bench-load bench-import bench-dashboard fuzz hostile soak screenshots clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## Run the hub for development, on HOST and PORT
	@scripts/build-dashboard --optional
	@SOCKETIO_CLIENT_DIST="$${SOCKETIO_CLIENT_DIST:-$$(ls -d "$(CLIENT_DIST)" 2>/dev/null)}" \
		$(BIN)/hextrackr-server serve --dev --host $(HOST) --port $(PORT) --database data/hextrackr.db

dashboard: ## Build the page of the hub with Node
	@scripts/build-dashboard

binary: $(VENV)/.dev ## Build one executable of the hub that needs no Python, and its SBOM, in dist (two minutes)
	@scripts/check-binary
	@$(BIN)/python -m scripts.binary

binary-test: setup ## Build the executable twice, compare the builds, and test it (four minutes)
	@scripts/check-binary
	$(BIN)/python -m pytest tests/packaging -m binary

setup: dashboard hextrackr_server/dashboard/node_modules/.installed $(VENV)/.dev tests/interop/node_modules/.installed tests/cluster/node_modules/.installed tests/dashboard/node_modules/.installed scripts/site/node_modules/.installed ## Install the development tools, Node packages, Chromium, PostgreSQL, Redis and promtool
	@scripts/check-chromium
	@scripts/check-postgres
	@scripts/check-redis
	@scripts/check-promtool

quick: lint types ## Run lint, types and the tests that need no other server (under a minute)
	$(BIN)/python -m pytest $(PARALLEL) -q -m "not node and not browser and not postgres and not redis and not promtool and not slow and not proxies and not clients and not binary and not compiled" --hypothesis-profile=quick

test: setup peers lint types ## Run lint, types and all tests; with COVERAGE=1, fail below the coverage limits
	$(if $(COVERAGE),@BIN=$(BIN) scripts/check-coverage,$(BIN)/python -m pytest) $(PARALLEL) -m "not proxies and not clients and not binary and not compiled"

coverage: ## Run `make test COVERAGE=1`
	@$(MAKE) test COVERAGE=1

lint: $(VENV)/.dev ## Check style, formatting, spelling and language
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/python scripts/check_language.py

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

format: $(VENV)/.dev ## Format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proxies: setup ## Run the official client against a hub behind nginx, HAProxy, Apache and Caddy (two minutes)
	@scripts/check-proxies
	$(BIN)/python -m pytest tests/proxies

clients: setup ## Build clients in Java, Rust and Go, and run them against a hub (two minutes)
	@scripts/check-clients
	$(BIN)/python -m pytest tests/clients

oldest: $(VENV)/.dev ## Run the tests of core and hub with the oldest allowed dependencies
	@PYTHON=$(abspath $(BIN)/python) scripts/test-oldest

pythons: $(VENV)/.dev ## Run the tests of the core on every other installed Python version
	@PYTHON=$(abspath $(BIN)/python) scripts/test-pythons

compiled: $(VENV)/.dev ## Compile the core with mypyc for each installed Python, test it, and compare it with the pure build (six minutes)
	@PYTHON=$(abspath $(BIN)/python) scripts/test-compiled

conformance: peers ## Play all dialogues against our own servers
	$(BIN)/python -m socketio_conformance --run "$(BIN)/python tests/targets/ours.py"

conformance-peers: peers ## Play all dialogues against other servers and write spec-vectors/PEERS.md
	$(BIN)/python -m socketio_conformance.peers

mutants: peers ## Check that the dialogues detect each deliberate fault
	$(BIN)/python scripts/mutants.py

diagrams: $(VENV)/.dev ## Print the state tables into ARCHITECTURE.md
	$(BIN)/python scripts/state_diagrams.py

docs: $(VENV)/.dev scripts/site/node_modules/.installed ## Build the documentation site into build/site, which needs no internet access
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "Open build/site/index.html"

peers: $(VENV)/.dev tests/targets/node_modules/.installed ## Install the servers that the tests and benchmarks compare
	@PYTHON=$(abspath $(BIN)/python) benchmarks/setup

bench: peers ## Compare this server with its peers (builds those whose toolchains exist); with WRITE=1, write the documents
	@PYTHON=$(abspath $(BIN)/python) benchmarks/setup-compiled
	$(BIN)/python -m benchmarks $(if $(WRITE),--write)

bench-full: peers ## Run every benchmark, with more rounds; with WRITE=1, write the documents
	@PYTHON=$(abspath $(BIN)/python) benchmarks/setup-compiled
	$(BIN)/python -m benchmarks --full $(if $(WRITE),--write)

bench-scale: setup peers ## Measure workers, servers on Redis and gateways of the hub; with WRITE=1, write docs/scaling.md
	$(BIN)/python -m benchmarks.scale $(if $(WRITE),--write)

bench-load: peers tests/cluster/node_modules/.installed ## Measure idle connections, acked events, reconnections and delivery next to Node; QUICK=1: half a minute; with WRITE=1, write docs/benchmarks.md
	@PYTHON=$(abspath $(BIN)/python) benchmarks/setup-compiled floor generator compiled
	$(BIN)/python -m benchmarks.load $(if $(QUICK),--quick) $(if $(WRITE),--write)

bench-import: setup ## Measure imports of ROWS rows and queries against their goals; with FULL=1, a million rows too
	$(BIN)/python -m benchmarks.imports --rows $(ROWS) $(if $(FULL),--full --write)

bench-dashboard: setup ## Measure the first paint of the dashboard at 20 kB per second, and the size of its build
	$(BIN)/python -m benchmarks.dashboard

fuzz: $(VENV)/.fuzz ## Mutate the input of all parsers for TIME each (default 60s), or of TARGET only; with PLAIN=1, without coverage; with WRITE=1, add to docs/fuzzing.md
	$(BIN)/python -m fuzz $(if $(PLAIN),--plain) $(if $(RUNS),--runs $(RUNS) --seed 1,--time $(or $(TIME),60s)) $(if $(TARGET),--target $(TARGET)) $(if $(WRITE),--write)

hostile: setup peers ## Attack the servers and Node's while another client measures, and inject faults; with WRITE=1, write SECURITY.md
	@scripts/check-proxies || true
	@failed=0; \
	$(BIN)/python -m benchmarks.hostile $(if $(WRITE),--write) || failed=1; \
	$(BIN)/python -m benchmarks.faults $(if $(WRITE),--write) || failed=1; \
	exit $$failed

soak: peers ## Check for TIME (default 1h; 10m, 90s) that SERVERS (core, hub, redis, postgres) do not grow while clients come and go; with WRITE=1, write docs/growth.md
	$(BIN)/python -m benchmarks.soak --time $(or $(TIME),1h) $(if $(SERVERS),--servers $(SERVERS)) $(if $(WRITE),--write)

screenshots: setup ## Write screenshots of the pages to build/screenshots; with WRITE=1, update docs/images
	$(BIN)/python scripts/screenshots.py $(if $(WRITE),--write)

clean: ## Remove virtual environments, Node packages and caches
	rm -rf $(VENV) $(VENV)-* benchmarks/.venv tests/*/node_modules benchmarks/node_modules scripts/site/node_modules
	rm -rf dist build/clients build/browser build/screenshots build/site .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	rm -rf hextrackr_server/dashboard/build hextrackr_server/dashboard/node_modules socketio_core/client_dist

# pip 25.1 is the first version with --group.
$(VENV)/.installed: pyproject.toml
	@scripts/check-python $(PYTHON)
	@echo "Installing the hub into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --editable '.[hub]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@echo "Installing the development tools into $(VENV)"
	@$(BIN)/python -m pip install --editable '.[hub,postgres,redis,webtransport]' --group dev
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev
	@echo "Installing atheris into $(VENV)"
	@$(BIN)/python -m pip install --group fuzz
	@touch $@

%/node_modules/.installed: %/package.json %/package-lock.json
	@scripts/check-node
	@echo "Installing the Node packages of $*"
	@cd $* && npm ci --no-audit --no-fund
	@touch $@
