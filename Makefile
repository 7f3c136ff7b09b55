# Everything here sets itself up: `make demo` and `make test` work on a fresh machine with make and a Python >= 3.11.
# The first of these Pythons that fits is taken; `make PYTHON=/path/to/python3 demo` names another.
FITS := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3; do \
	$$each -c '$(FITS)' 2>/dev/null && echo $$each && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
QUIET := $(BIN)/python -m pld_search.bench.quiet
ENTER := @echo 'For pld-search in your shell: . $(BIN)/activate'

.PHONY: demo test lint types tests soak install schemas docs pins clean

demo: $(STAMP)
	$(BIN)/pld-search demo
	$(ENTER)

test: $(STAMP) lint types tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

# Two files at a time, one thread each: on two cores that halves the time. Runs of evidence/ in the background stop meanwhile.
tests: $(STAMP)
	OMP_NUM_THREADS=1 $(QUIET) $(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile --no-loadscope-reorder

# The long fault and fuzz runs; the log stays beside the other measurements.
soak: $(STAMP)
	mkdir -p benchmarks/results
	$(BIN)/python -m pytest -m soak --timeout 3600 -v 2>&1 | tee benchmarks/results/soak-$$(date +%F).log

install: $(STAMP)
	$(ENTER)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' 2>/dev/null || \
	{ echo 'This needs Python 3.11 or newer with its venv module: make PYTHON=/path/to/python3'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@$(MAKE) --no-print-directory schemas
	touch $(STAMP)

# What the first lines of schedules/ and spaces/ name: editors complete and check those files (docs/editors.md).
schemas:
	mkdir -p schemas
	for kind in study schedule machine; do $(BIN)/pld-search schema $$kind > schemas/$$kind.json || exit 1; done

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	$(BIN)/python tools/site_pages.py build/pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet --site-dir $(CURDIR)/build/site
	@echo 'The site: build/site/index.html'

pins: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,docs,dashboard]"
	(echo "# Every pin of the development environment (Python 3.11). Regenerate: make pins"; \
	 $(BIN)/python -m pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+).*/\1/') > constraints.txt

clean:
	rm -rf $(VENV) runs build dist
