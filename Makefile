# Every target sets up its own environment; the second time that costs nothing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONFIG ?=
export CXM_CONFIG := $(if $(CONFIG),$(CONFIG),$(CXM_CONFIG))
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Nothing phones home.
export DAGSTER_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export RUNTIME__DLTHUB_TELEMETRY := false
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false

.PHONY: help setup run test truth ui docs bench kpis lint format lock screenshots clean
help:           ## List the targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(STAMP) ## Make .venv from requirements.lock
$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing requirements.lock into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: $(STAMP)   ## Load, build, gate, publish, report: make run [CONFIG=mapping.yml]
	@$(BIN)/cxm run

test: $(STAMP)  ## Run every test
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

truth: $(STAMP) ## The tests against the truth with a company of any size: make truth CUSTOMERS=10000 SEED=8
	@CXM_TRUTH_CUSTOMERS=$(CUSTOMERS) CXM_TRUTH_DAYS=$(DAYS) CXM_TRUTH_SEED=$(SEED) \
	    $(BIN)/python -m pytest tests/pipeline/truth

ui: $(STAMP)    ## Open Dagster on http://127.0.0.1:3000
	@$(BIN)/cxm ui

docs: $(STAMP)  ## Write dbt's docs of all models as one page: data/reports/dbt_docs.html
	@$(BIN)/cxm docs

bench: $(STAMP) ## Measure, print ratios, write bench.json
	@$(BIN)/python -m tests.benchmarks

kpis: $(STAMP)  ## Write what follows from the KPI contracts in dbt_project/kpis
	@$(BIN)/python -m dbt_project.kpis

lint: $(STAMP)  ## Style, types and SQL
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests

format: $(STAMP) ## Put Python into form
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

screenshots: $(STAMP) ## Take the README's pictures with the Chromium of this machine
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'playwright>=1.50,<2'
	@$(BIN)/python docs/screenshots.py

lock: $(STAMP)  ## Resolve pyproject.toml into requirements.lock
	@$(PYTHON) -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv
	@.venv/lock/bin/uv pip compile pyproject.toml --extra dev --python-version 3.11 \
	    --generate-hashes --no-strip-extras --no-annotate --no-header --upgrade -q -o requirements.lock

clean:          ## Remove the environment (state under data/ stays)
	rm -rf $(VENV)
