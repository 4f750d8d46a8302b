# Everything a person or CI does with this checkout. `make help` lists the targets from their
# comments. Needs Python 3.11 or newer and make; everything else goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
PYTEST_ARGS ?=

# Debian packages that tests need as programs: real servers, each started and ended by its tests.
SYSTEM_TEST_PACKAGES := openssl postgresql prometheus prometheus-alertmanager nginx-light
# And that benchmarks need.
SYSTEM_BENCH_PACKAGES := gcc libc6-dev

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run install test test-deps test-clients lint format check coverage mutation bench bench-compare bench-deps bench-peers bench-faults system-packages million kill-test trouble-test size-test lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: .venv/installed ## install and serve; without keys or evenkeel.yaml the demo (ARGS="--port 9000")
	@$(BIN)/evenkeel serve $(ARGS)

install: .venv/installed ## what `run` needs, into .venv

test: .venv/installed-test test-deps ## install what the tests need and run them (PYTEST_ARGS="-k relay")
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# aider runs on Python 3.11 and 3.12 only, and pins other versions of our libraries: its own .venv-aider.
AIDER_CAN := $(shell $(PYTHON) -c 'import sys; print("yes" if sys.version_info < (3, 13) else "")')
WITH_AIDER := $(if $(AIDER_CAN),.venv-aider/installed)

test-deps: $(WITH_AIDER) ## programs that tests need: of the system, and aider in .venv-aider
	@$(MAKE) --no-print-directory system-packages SYSTEM_PACKAGES="$(SYSTEM_TEST_PACKAGES)"

system-packages:
	@if dpkg -s $(SYSTEM_PACKAGES) >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(SYSTEM_PACKAGES); \
	else \
		echo "please install $(SYSTEM_PACKAGES); what needs them will say so" >&2; \
	fi

test-clients: .venv/installed-test .clients/installed ## agents from npm through the gateway, pinned (needs Node 20 and 1.2 GB; minutes)
	$(BIN)/python -m pytest -o python_files='check_*.py' tests/clients/npm $(PYTEST_ARGS)

lint: .venv/installed-test ## ruff (format and rules) and mypy strict
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed-test ## let ruff put the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: lint test ## what CI runs: lint, then the tests

coverage: .venv/installed-test test-deps ## the tests with their coverage of gateway, storage, dashboards
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered $(PYTEST_ARGS)

bench: .venv/installed-test bench-deps ## all figures beside nginx and a bare aiohttp proxy, half an hour (ARGS="--quick --peers --write paced")
	$(BIN)/python -m tests.benchmarks $(ARGS)

bench-compare: .venv/installed-test ## what has become worse from one run to another (OLD=a.json NEW=b.json)
	$(BIN)/python -m tests.benchmarks.compare $(OLD) $(or $(NEW),.bench/latest.json)

bench-deps: ## a compiler for the mock provider and the load; without one they are in Python, and slow
	@command -v cc >/dev/null || $(MAKE) --no-print-directory system-packages SYSTEM_PACKAGES="$(SYSTEM_BENCH_PACKAGES)"

bench-peers: .venv/installed-test .peers/litellm/installed .peers/portkey/installed ## LiteLLM's proxy and Portkey's gateway into .peers, to be measured too (needs Node 20)

bench-faults: .venv/installed-test ## figures under fault, an hour; `make bench-peers` first for the others' (ARGS="--only evenkeel")
	$(BIN)/python -m tests.benchmarks.faults $(ARGS)

million: .venv/installed-test ## a day of flapping with a million attempts, and how long each question takes; minutes (ARGS=FOLDER)
	$(BIN)/python -m tests.benchmarks.million $(or $(ARGS),.million)

mutation: .venv/installed-test ## takes each rule of the engine away and asks the tests who notices; minutes (ARGS="probe")
	$(BIN)/python -m tests.simulation.mutation $(ARGS)

kill-test: .venv/installed-test ## kill -9 thirty times for each durability; minutes
	EVENKEEL_KILLS=30 $(BIN)/python -m pytest -s tests/end_to_end/test_kill_hard.py

trouble-test: .venv/installed-test ## a locked, read-only and full database for ten seconds each
	EVENKEEL_TROUBLE_SECONDS=10 $(BIN)/python -m pytest -s tests/end_to_end/test_store_faults.py

size-test: .venv/installed-test ## a million attempts under a cap of 50 MB; minutes
	EVENKEEL_ATTEMPTS=1000000 $(BIN)/python -m pytest -s tests/storage/test_size_cap.py

lock: .venv/installed-test ## work out all lock files anew from pyproject.toml
	@$(PIP) uv
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile $(LOCK_FLAGS) pyproject.toml --extra test -c requirements.lock -o requirements-test.lock
	$(BIN)/uv pip compile $(LOCK_FLAGS) tests/clients/aider.in -o tests/clients/aider.lock
	$(BIN)/uv pip compile $(LOCK_FLAGS) $(PEERS)/litellm.in -o $(PEERS)/litellm.lock

# One file for all systems and Pythons, with hashes, and with no index of anybody's in it.
LOCK_FLAGS := --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"

clean: ## remove .venv and all caches
	rm -rf .venv .venv-aider .clients .peers .bench .million build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

# Stamps: installing is skipped while no lock file and not pyproject.toml is newer.
.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; '$(PYTHON)' is older or missing. Try make PYTHON=python3.12" >&2; exit 1; }
	@echo "installing into .venv, this once…"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: requirements.lock pyproject.toml | .venv/python
	@$(PIP) -r requirements.lock
	@$(PIP) --no-deps --editable .
	@touch $@

.venv/installed-test: requirements-test.lock .venv/installed
	@$(PIP) -r requirements-test.lock
	@touch $@

# What cannot be installed leaves no stamp, and its test says so: a failure in CI, a skip elsewhere.
.venv-aider/installed: tests/clients/aider.lock
	@echo "installing aider into .venv-aider, this once…"
	@{ $(PYTHON) -m venv .venv-aider && \
		.venv-aider/bin/python -m pip install --quiet --disable-pip-version-check --requirement $< && \
		touch $@; } || echo "test-deps: aider could not be installed; its tests will say so" >&2

# Not `npm ci`: it insists on every platform's build of opencode, of which a registry may hold some only.
# Install scripts of packages are not run but for the two that put a program in its place.
.clients/installed: tests/clients/package-lock.json tests/clients/package.json
	@command -v npm >/dev/null || { echo "test-clients: needs Node 20 or newer with npm" >&2; exit 1; }
	@mkdir -p .clients
	@cp tests/clients/package.json tests/clients/package-lock.json .clients/
	@echo "installing the clients into .clients, this once…"
	@cd .clients && npm install --ignore-scripts --no-audit --no-fund --loglevel=error
	@cd .clients && node node_modules/@anthropic-ai/claude-code/install.cjs
	@cd .clients/node_modules/opencode-ai && node postinstall.mjs
	@touch $@

PEERS := tests/benchmarks/peer_files

.peers/litellm/installed: $(PEERS)/litellm.lock
	@echo "installing LiteLLM's proxy into .peers/litellm, this once…"
	@$(PYTHON) -m venv .peers/litellm
	@.peers/litellm/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# Its streams are a 500 on Node 20.20: `mend` changes the one expression (docs/performance.md).
.peers/portkey/installed: $(PEERS)/package-lock.json $(PEERS)/package.json tests/benchmarks/peers.py
	@command -v npm >/dev/null || { echo "bench-peers: needs Node 20 or newer with npm" >&2; exit 1; }
	@mkdir -p .peers/portkey
	@cp $(PEERS)/package.json $(PEERS)/package-lock.json .peers/portkey/
	@echo "installing Portkey's gateway into .peers/portkey, this once…"
	@cd .peers/portkey && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@$(BIN)/python -m tests.benchmarks.peers .peers/portkey/node_modules/@portkey-ai/gateway/build/start-server.js
	@touch $@
