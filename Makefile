# `make book` and `make test` are all a reader needs: each does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= standard
PORT ?= 8000
SITE := _build/site/$(PROFILE)/_build/html

.DEFAULT_GOAL := help
.PHONY: help setup browser book test lint bench freeze picture serve clean

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

bench: setup ## measure the trainer against its bounds and against torch.optim
	@$(BIN)/python -m tests.bench_trainer

freeze: setup ## keep the chapters' outputs as the reference that nbval compares with
	@$(BIN)/edgechaos book --profile quick --freeze
	@$(BIN)/edgechaos book --profile standard --freeze

picture: setup ## draw the README's picture from the committed runs
	@$(BIN)/python assets/picture.py

serve: book ## serve the book on http://127.0.0.1:8000 (PORT=...)
	@echo "http://127.0.0.1:$(PORT)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

clean: ## remove what was built (the virtual environment stays)
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache *.egg-info
