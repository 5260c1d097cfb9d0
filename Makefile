# Everything Carillon needs is put into .venv, .tools and .carillon here; nothing else on this machine changes.
SHELL := /bin/sh
BIN := .venv/bin
PORT ?= 8000
ARGS ?=
PARALLEL ?= -n 4 --dist worksteal
SELECT ?= not slow
PYTEST := $(BIN)/pytest $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup up demo test check e2e chaos bench generate lock clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@PYTHON="$(PYTHON)" deploy/bootstrap

up: setup ## run Carillon here: console at http://localhost:8000 (PORT=8001 for another port)
	@exec $(BIN)/carillon up --port $(PORT) $(ARGS)

demo: setup ## the same without a keyboard: shows a report on its way, checks it, and ends
	@exec $(BIN)/carillon demo $(ARGS)

test: setup ## unit, conformance and integration tests
	@$(PYTEST) $(PARALLEL) -m "$(SELECT)" tests/unit tests/conformance tests/integration

e2e: setup ## whole-system tests: the stack, the demo, the console in a browser
	@$(PYTEST) tests/e2e

chaos: setup ## tests that kill, freeze and cut off every part; SEEDS=1-20 MINUTES=5 BROKER=kafka: a long storm
ifdef SEEDS
	@STORM_SEEDS=$(SEEDS) STORM_MINUTES=$(or $(MINUTES),5) $(PYTEST) -s --backend=$(or $(BROKER),embedded) \
		tests/chaos/test_storm.py tests/chaos/test_crash_points.py
else
	@$(PYTEST) tests/chaos
endif

bench: setup ## measure throughput and latency on this machine
	@$(PYTEST) tests/benchmarks

check: setup ## lint, types, import contracts, generated files, the lock
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python deploy/lock.py --check
	@$(BIN)/python deploy/generated.py --check

generate: setup ## write the documents that are generated from the code
	@$(BIN)/python deploy/generated.py

lock: setup ## write requirements.lock again from the pyproject.toml files
	@$(BIN)/python deploy/lock.py

clean: ## remove everything that set-up and running have made here
	@if [ -x $(BIN)/carillon ]; then $(BIN)/carillon clean; fi
	@rm -rf .venv .tools .carillon .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
