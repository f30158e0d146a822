# make validate   every success criterion measured, and the plugin on real examples: planted leaks found; the cured twin, and
#                 a service on the core systems, clean. Writes run files, JUnit, and the summary table
# make test       ruff, mypy --strict, and the test suite, with and without xdist
#                 (without: but for the library's parts and what starts a pytest of its own, which are the same either way)
# (What starts a pytest of its own is marked inner, by conftest.py.)
# Both make their own virtual environment on first use and use it again.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SMALL  := measure budgets
LIBRARY := state errors threads resources monitoring cleanup components coordinators testing conformance
# One more than the processors that there are at least: some tests wait
WORKERS := 3
XDIST  := CORESYS_TEST_XDIST=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m 'not long'
ALIKE  := $(LIBRARY) budgets measure validation browser history criteria reports
STAMP  := $(VENV)/.ready

# Hundreds of the tests run a pytest of their own: without bytecode each of these compiles all of the project first.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: validate test long lint types parallel serial clean

validate: $(STAMP)
	$(BIN)/python examples/validate.py --with-suites

# mypy beside the run that needs one processor: it is done first, and pytest's line is the last
test: $(STAMP) lint parallel
	$(MAKE) --no-print-directory -j 2 types serial

# In three runs, each with what it needs in its processes: looking for who holds what takes ten times as long among the
# modules of thousands of other tests.
parallel: $(STAMP)
	$(XDIST) $(SMALL:%=tests/%)
	$(XDIST) $(LIBRARY:%=tests/%)
	$(XDIST) $(SMALL:%=--ignore tests/%) $(LIBRARY:%=--ignore tests/%)

# What make test leaves out, which has to end within minutes also on a slow machine: each file of the corpus alone, and the
# batches of it that a check has no time for; the parts of the corpus of locks that wait; what tests/long.txt names. Each
# pytest that a test runs has an interpreter started for it, where make test forks it (tests/support/pytests.py).
long: $(STAMP)
	CORESYS_TEST_FRESH=1 $(BIN)/python -m pytest -q -n 2 -m long

serial: $(STAMP)
	$(BIN)/python -m pytest -q -m 'not corpus and not inner and not slow and not long' $(ALIKE:%=--ignore tests/%)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check coresys pytest_coresys validation_suites tests conftest.py noxfile.py

types: $(STAMP)
	$(BIN)/mypy

$(STAMP): pyproject.toml hatch_build.py coresys/threads/watching/_fast.c
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist .coresys .mypy_cache .ruff_cache .pytest_cache
