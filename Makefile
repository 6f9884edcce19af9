# Everything runs in .venv, which the first target that needs it makes. A tree that did not change installs nothing again.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo test test-slow coverage docs lint format benchmarks fuzz clean default-model

help:
	@echo "make demo        set up, then simulate, train and evaluate, without any data: leaves a report in demo/"
	@echo "make default-model FACES=DIR  make the model that ships again, from portraits"
	@echo "make test        set up, then run every test but the slow ones"
	@echo "make test-slow   the tests that take longer"
	@echo "make coverage    make test, and which share of the source it runs, against a floor"
	@echo "make docs        build the documentation site in site/, strictly"
	@echo "make lint        ruff, mypy (tests too), import-linter"
	@echo "make format      put the code into the house's shape"
	@echo "make fuzz        a minute of fuzzing the readers of pictures, videos and bundles"
	@echo "make benchmarks  the speed ratios of benchmarks/"

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[train,dev,docs]"
	touch $@

install: $(INSTALLED)

demo: $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" tools/demo.sh demo

# FACES is a folder of portraits (benchmarks/portraits.py); stop it when you like, it goes on where it was.
default-model: $(INSTALLED)
	PATH="$(CURDIR)/$(BIN):$$PATH" tools/default_model.sh "$(FACES)" default-model

# A process for each core with one thread each: several threads a process would wait for each other.
# Where one of them dies, pytest would wait for ever for what it was to do: the run ends instead.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --max-worker-restart 0

test: $(INSTALLED)
	$(PYTEST) -m "not slow"

test-slow: $(INSTALLED)
	$(PYTEST) -m slow

# Apart from `make test`, so that a run of the tests stays quick where nobody asks for the share.
coverage: $(INSTALLED)
	$(PYTEST) -m "not slow" --cov --cov-report=term:skip-covered

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(BIN)/python tools/check_site.py site

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(INSTALLED)
	for script in benchmarks/*_speed.py; do $(BIN)/python $$script || exit 1; done

# What breaks a reader is left here as crash-*; see tests/fuzz/fuzz.py.
fuzz: $(INSTALLED)
	for target in picture video bundle; do $(BIN)/python tests/fuzz/fuzz.py $$target -max_total_time=20 || exit 1; done

clean:
	rm -rf .venv site .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
