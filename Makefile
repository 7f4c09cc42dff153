# On a fresh machine `make demo` and `make test` set up what they need in .venv, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup render-env demo test check test-editors test-editors-next words benchmark clean

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

# Blender needs Python 3.11 and a numpy older than the engine's: it has an environment of its own.
RENDER_ENV := .venv-render
RENDER_READY := $(RENDER_ENV)/.ready
RENDER_LIBRARIES := libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libgl1

render-env: $(RENDER_READY)

$(RENDER_READY): training/renderer/requirements.txt
	$(PYTHON) -m venv $(RENDER_ENV)
	$(RENDER_ENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@$(RENDER_ENV)/bin/python -c "import bpy" || \
		{ echo "Blender lacks system libraries: apt-get install $(RENDER_LIBRARIES)"; exit 1; }
	touch $@

demo: $(READY)
	$(BIN)/ganpaint demo --out out/demo

# Where Blender cannot be set up, its tests are skipped and say so; in CI they fail.
test: $(READY)
	-@$(MAKE) --no-print-directory render-env
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Real GIMP 3 and real Krita, in a Debian chroot that the tests make (root, apt, a few minutes).
test-editors: $(READY)
	$(BIN)/python -m pytest -m editors tests/hosts

# Brings the plug-ins' translations up to date with their sources, and compiles them.
words: $(READY)
	$(BIN)/python tools/catalogues.py

# The core of it on the editors' next versions (GIMP 3.2, Krita 6), in chroots of their own.
test-editors-next: export EDITORS_RELEASE = forky
test-editors-next: $(READY)
	$(BIN)/python -m pytest -m editors tests/hosts/test_gimp.py tests/hosts/test_gimp_documents.py \
		tests/hosts/test_gimp_scripts.py tests/hosts/test_gimp_window.py
	EDITORS_RELEASE=experimental $(BIN)/python -m pytest -m editors tests/hosts/test_krita.py \
		tests/hosts/test_krita_documents.py

benchmark: $(READY)
	$(BIN)/python -m benchmarks.bundled_model

clean:
	rm -rf $(VENV) $(RENDER_ENV) out .pytest_cache .mypy_cache .ruff_cache
