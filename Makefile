# On a fresh machine `make demo` and `make test` set up what they need in .venv, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test check test-editors benchmark clean

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

demo: $(READY)
	$(BIN)/ganpaint demo --out out/demo

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Real GIMP 3 and real Krita, in a Debian chroot that the tests make (root, apt, a few minutes).
test-editors: $(READY)
	$(BIN)/python -m pytest -m editors tests/hosts

benchmark: $(READY)
	$(BIN)/python -m benchmarks.bundled_model

clean:
	rm -rf $(VENV) out .pytest_cache .mypy_cache .ruff_cache
