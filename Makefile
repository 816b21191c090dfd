# `make demo` and `make test` set up all they need in .venv; PYTHON chooses the interpreter it is made from.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

PLUGINS  := $(patsubst %/pyproject.toml,./%,$(wildcard plugins/*/pyproject.toml))
PROJECTS := . ./cache $(PLUGINS)
STAMP    := $(VENV)/installed

# The official toolkits that our numbers are compared with want old versions of what we use: an environment of their own.
PEERS := .venv-peers

# Tests run in parallel processes, at most eight since each loads torch; more than one thread in each would only get in
# the others' way. A file's tests stay together, for they share what is slow to prepare. A process that a hanging test
# took with it is not started again: it would be given the same test.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 8 --max-worker-restart 0 --dist loadfile

.PHONY: help setup demo test test-peers lint pytest wheels clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       track a synthetic clip; leaves demo-output/track.mp4 and contact_sheet.png"
	@echo "make test       check style and types, run all tests"
	@echo "make test-peers compare our numbers with the official toolkits', installed into .venv-peers"
	@echo "make setup      install everything into .venv, and nothing else"
	@echo "make wheels     build the wheels of all distributions into dist/"
	@echo "make clean      delete what was built, but keep .venv"

setup: $(STAMP)

# One call for all distributions, so that they find each other and never come from an index.
$(STAMP): constraints.txt $(addsuffix /pyproject.toml,$(PROJECTS))
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: %s is Python %d.%d; trackcli needs 3.11 or newer; name one: make PYTHON=python3.11" % (sys.executable, *sys.version_info[:2]))'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV); the first time takes a few minutes"
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]" $(foreach project,./cache $(PLUGINS),-e $(project))
	@touch $@

demo: $(STAMP)
	@$(BIN)/trackcli demo -o demo-output

test: lint pytest

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy benchmarks examples
	$(if $(PLUGINS),$(BIN)/mypy $(filter-out %.egg-info,$(wildcard plugins/*/trackcli_*)))

pytest: $(STAMP)
	$(PYTEST)

test-peers: $(STAMP) $(PEERS)/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/peers

$(PEERS)/installed: tests/peers/requirements.txt $(STAMP)
	@$(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet -r tests/peers/requirements.txt
	@$(PEERS)/bin/python -m pip install --quiet --no-deps got10k==0.1.3
	@touch $@

wheels: $(STAMP)
	@for project in $(PROJECTS); do rm -rf $$project/build; $(BIN)/python -m build --wheel --no-isolation --outdir dist $$project || exit 1; rm -rf $$project/build; done

clean:
	rm -rf build cache/build plugins/*/build dist demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
