# Each target installs what it needs into .venv, again whenever pyproject.toml changed.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench conformance clean

.venv/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: .venv/.installed  ## train and serve a small PyResNet on synthetic speech
	$(BIN)/lssed-hf demo

test: .venv/.installed  ## the tests, in a few minutes
	$(BIN)/python -m pytest

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/.installed  ## side-by-side timings
	$(BIN)/python benchmarks/run.py

conformance: .venv/.installed  ## transformers' own test suite for models and feature extractors
	$(BIN)/python tests/conformance/run.py

clean:
	rm -rf .venv .conformance outputs
