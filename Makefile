# `make book` and `make test` are all a reader needs: each does its own set-up.
PYTHON ?= python3
VENV := .venv
SHELL := /bin/bash
BIN := $(VENV)/bin
PROFILE ?= standard
PORT ?= 8000
SITE := _build/site/$(PROFILE)/_build/html

# One ratio J0/J of one size (NEURONS:DRAWS): $(call CUT,RATIO,FROM,TO,ROWS), 1/J in (FROM, TO].
CUT = $(BIN)/edgechaos phase-diagram --neurons $${size%:*} --draws $${size\#*:} --rows $(4) --columns 1 \
	--align 200 --measure 200 --ratio-from $(1) --ratio-to $(1) --inverse-j-from $(2) --inverse-j-to $(3) \
	--out data/phase-diagrams/cut-$(1)-$${size%:*}.parquet || exit

.DEFAULT_GOAL := help
.PHONY: help setup browser book test lint torture bench freeze diagrams calibration picture serve clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
	@PYTHONWARNDEFAULTENCODING=1 $(BIN)/python -m pytest -q --numprocesses 2 --dist loadgroup --no-loadscope-reorder --durations 10

lint: setup ## ruff (format and lint), mypy, spelling, and the order of the rooms
	@$(BIN)/codespell
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@said=$$($(BIN)/lint-imports --no-cache 2>&1) || { echo "$$said"; exit 1; }

browser: setup
	@$(BIN)/python -m tests.book.browser

torture: setup ## kill, starve and damage sweeps: 200 kills, every write, full disks, a Ray cluster losing a node
	@$(BIN)/python -m tests.faults.torture

bench: setup ## measure trainer, phase diagram, store, controller and inspect against their bounds and the plain ways
	@$(BIN)/python -m tests.bench.trainer
	@$(BIN)/python -m tests.bench.probes
	@$(BIN)/python -m tests.bench.store
	@$(BIN)/python -m tests.bench.controller
	@$(BIN)/python -m tests.bench.inspection
	@$(BIN)/python -m tests.bench.payoff

freeze: setup ## keep the chapters' outputs as the reference that nbval compares with
	@$(BIN)/edgechaos book --profile quick --freeze
	@$(BIN)/edgechaos book --profile standard --freeze

diagrams: setup ## simulate the committed phase diagrams (two hours; goes on where it was)
	@$(BIN)/edgechaos phase-diagram --neurons 4000 --out data/phase-diagrams/tanh-4000.parquet
	@$(BIN)/edgechaos phase-diagram --neurons 10000 --rows 34 --columns 51 --out data/phase-diagrams/tanh-10000.parquet
	@$(BIN)/edgechaos phase-diagram --neurons 1000 --rows 50 --columns 76 --activation relu \
		--out data/phase-diagrams/relu-1000.parquet
	@for ratio in 0 1.1 1.25 1.5 1.75; do \
		for size in 100:40 300:40 1000:40; do $(call CUT,$$ratio,0,1.2,60); done; \
	done
	@size=784:40; $(call CUT,0,0,1.2,60)
	@size=3000:10; $(call CUT,0,0.7,1.1,20); $(call CUT,1.1,0.4,0.9,20); $(call CUT,1.25,0.25,0.65,20); \
		$(call CUT,1.5,0.1,0.45,20); $(call CUT,1.75,0.05,0.3,20)
	@for cut in 1.1:0.5:0.9 1.5:0.2:0.4; do IFS=: read ratio from to <<< $$cut; \
		$(BIN)/edgechaos phase-diagram --neurons 1000 --draws 20 --rows 20 --columns 1 --iterations 5000 --align 200 \
		--measure 200 --ratio-from $$ratio --ratio-to $$ratio --inverse-j-from $$from --inverse-j-to $$to \
		--out data/phase-diagrams/long-$$ratio-1000.parquet || exit; \
	done
	@size=10000:3; $(call CUT,0,0.75,1.05,20); $(call CUT,1.1,0.5,0.85,20); $(call CUT,1.25,0.35,0.6,20); \
		$(call CUT,1.5,0.175,0.375,20); $(call CUT,1.75,0.08,0.24,20)

calibration: setup ## fit the guideline's formula to the committed runs again
	@$(BIN)/python -m edgechaos_core.guideline.formula_fit

picture: setup ## draw the README's picture from the committed runs
	@$(BIN)/python assets/picture.py

serve: book ## serve the book on http://127.0.0.1:8000 (PORT=...)
	@echo "http://127.0.0.1:$(PORT)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

clean: ## remove what was built (the virtual environment stays)
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache *.egg-info
