# `make book` and `make test` are all a reader needs: each does its own set-up.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= standard
PORT ?= 8000
SITE := _build/site/$(PROFILE)/_build/html

.DEFAULT_GOAL := help
.PHONY: help setup browser book test lint bench freeze diagrams picture serve clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-10s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/ready ## make the virtual environment (once; again when its pins change)

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: make PYTHON=python3.11 ...")'
	@echo "setting up $(VENV): a few minutes and 7 GB, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

book: setup ## build the book (PROFILE=standard, quick or paper)
	@$(BIN)/edgechaos book --profile $(PROFILE)
	@echo "open that page, or: make serve"

test: setup browser lint ## lint, types, unit tests, nbval, a quick book, the browser
	@$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile --durations 10

lint: setup ## ruff (format and lint) and mypy
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

browser: setup
	@$(BIN)/python -m tests.browser

bench: setup ## measure trainer and phase diagram against their bounds and against the plain ways
	@$(BIN)/python -m tests.bench_trainer
	@$(BIN)/python -m tests.bench_probes

freeze: setup ## keep the chapters' outputs as the reference that nbval compares with
	@$(BIN)/edgechaos book --profile quick --freeze
	@$(BIN)/edgechaos book --profile standard --freeze

diagrams: setup ## simulate the committed phase diagrams (two hours; goes on where it was)
	@$(BIN)/edgechaos phase-diagram --neurons 4000 --out data/phase-diagrams/tanh-4000.parquet
	@$(BIN)/edgechaos phase-diagram --neurons 10000 --rows 34 --columns 51 --out data/phase-diagrams/tanh-10000.parquet
	@$(BIN)/edgechaos phase-diagram --neurons 1000 --rows 50 --columns 76 --activation relu \
		--out data/phase-diagrams/relu-1000.parquet
	@for size in 100:40:60 300:40:60 1000:20:20 3000:10:20 10000:4:20; do \
	for cut in 0:0.7:1.1 1.1:0.4:0.9 1.25:0.25:0.65 1.5:0.1:0.45 1.75:0.05:0.3; do \
		IFS=: read -r neurons draws rows ratio from to <<< "$$size:$$cut"; \
		test $$rows = 20 || { from=0 to=1.2; }; \
		$(BIN)/edgechaos phase-diagram --neurons $$neurons --draws $$draws --rows $$rows --columns 1 \
			--align 200 --measure 200 --ratio-from $$ratio --ratio-to $$ratio \
			--inverse-j-from $$from --inverse-j-to $$to \
			--out data/phase-diagrams/cut-$$ratio-$$neurons.parquet || exit; \
	done; done

picture: setup ## draw the README's picture from the committed runs
	@$(BIN)/python assets/picture.py

serve: book ## serve the book on http://127.0.0.1:8000 (PORT=...)
	@echo "http://127.0.0.1:$(PORT)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

clean: ## remove what was built (the virtual environment stays)
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache *.egg-info
