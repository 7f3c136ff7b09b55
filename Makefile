# Everything here sets itself up: `make demo` and `make test` work on a fresh machine with Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
QUIET := $(BIN)/python -m pld_search.bench.quiet

.PHONY: demo test lint types tests soak install pins clean

demo: install
	$(BIN)/pld-search demo

test: install lint types tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# Two files at a time, one thread each: on two cores that halves the time. Runs of evidence/ in the background stop meanwhile.
tests: install
	OMP_NUM_THREADS=1 $(QUIET) $(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile --no-loadscope-reorder

# The long fault and fuzz runs; the log stays beside the other measurements.
soak: install
	mkdir -p benchmarks/results
	$(BIN)/python -m pytest -m soak --timeout 3600 -v 2>&1 | tee benchmarks/results/soak-$$(date +%F).log

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)

pins: install
	(echo "# Every pin of the development environment (Python 3.11). Regenerate: make pins"; \
	 $(BIN)/python -m pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+).*/\1/') > constraints.txt

clean:
	rm -rf $(VENV) runs build dist
