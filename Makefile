# `make help` lists what there is.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One worker a core; the heavy tests are few and the machine is small.
WORKERS ?= auto
SHELL := /bin/bash

.PHONY: help system setup dev demo up test test-pooler check format bench bench-gpu gpu-check rehearse chaos explore browser pooler clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml infra/setup/install.sh
	PYTHON=$(PYTHON) VENV=$(VENV) infra/setup/install.sh
	touch $@

$(VENV)/.dev: $(VENV)/.installed pyproject.toml
	$(BIN)/pip install --quiet --constraint infra/setup/constraints.txt -e '.[dev]'
	touch $@

# Every time, as a machine may change under its .venv; it is a second when nothing is missing.
system: $(VENV)/.installed
	@BIN=$(BIN) infra/setup/system.sh

setup: $(VENV)/.installed system ## make .venv with everything pinned

dev: $(VENV)/.dev ## setup, and the tools for checking and testing

demo: setup ## start everything and play the main job (HEADLESS=1 ends when it is delivered)
	$(BIN)/brightrun demo $(if $(HEADLESS),--headless) $(if $(JSON),--json $(JSON)) $(if $(FILE),--file $(FILE))

up: setup ## start everything and stay up
	$(BIN)/brightrun up

browser: dev
	BIN=$(BIN) infra/setup/browser.sh

pooler:
	infra/setup/pooler.sh

# A file's tests share what its fixtures build, so they stay on one worker; the slow folders come first.
test: dev system browser pooler ## the whole suite
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-pooler: dev system pooler ## the scenarios behind PgBouncer, each process with a login of its own
	BRIGHTRUN_TEST_POOLER=pgbouncer BRIGHTRUN_TEST_ROLES=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile tests/scenario

check: dev ## what CI checks before it tests: format, lint, types, arrows between the rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: dev ## measure what we claim, ours against the baseline
	$(BIN)/python -m tests.bench

bench-gpu: dev ## speed, memory and utilisation beside plain TRL, on a GPU (SHAPE=tiny DEVICE=cpu tries it without)
	PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True $(BIN)/python -m gpu_jobs.bench \
		$(if $(SHAPE),--shape $(SHAPE)) $(if $(DEVICE),--device $(DEVICE)) $(if $(JSON),--json $(JSON))

gpu-check: dev ## everything that only a GPU can show, within ten minutes
	$(BIN)/pytest -p no:xdist tests/gpu tests/unit/test_gpu_exactness.py
	PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True timeout 420 $(BIN)/python -m gpu_jobs.bench --shape 8b 70b \
		--lengths 4096 --ranks 16 --steps 3 --json gpu-bench.json

rehearse: dev ## CUDA's path without a GPU: kernels and memory of an optimizer step at 8B and 70B (needs g++)
	$(BIN)/python -W ignore -m tests.rehearsal

chaos: dev ## break everything on purpose, FAULTS=N times, and check that it adds up (SEED=S repeats a run)
	$(BIN)/python -m tests.recovery --faults $(or $(FAULTS),100) $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json $(JSON))

explore: dev ## property tests with new random examples, and many more over the life of a job
	HYPOTHESIS_PROFILE=explore $(BIN)/pytest -n $(WORKERS) --dist loadfile tests/unit tests/scenario/test_lifecycle.py \
		tests/scenario/test_budget.py tests/scenario/test_estimates.py tests/stripe

clean: ## forget the virtual environment and the embedded run's data
	rm -rf $(VENV) .brightrun
