# Each target does its own set-up: a fresh machine needs python3, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench clean
demo: $(READY)
	$(BIN)/edgespeech demo --output build --force

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks.speed --json build/bench.json
	$(BIN)/python -m benchmarks.decoding --json build/bench-decoding.json

$(READY): pyproject.toml runtime/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable "runtime[onnx,openvino,audio]" --editable ".[dev]"
	touch $@

clean:
	rm -rf build dist $(VENV)
