# `make app` opens the app, `make test` checks everything, `make check` in a minute what changed.
#   make app STUDY=path/to/study.yaml PORT=8600     another study, another port
PYTHON ?= python3
PORT ?= 8501
STUDY ?=
INPUTS ?= 10000
SEED ?= 1
KILLS ?= 100
EVERY ?= 1
VENV := .venv
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Bytecode by all cores, where pip uses one. Files for another Python do not compile: pip does not mind them either.
COMPILE = @$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true

SINCE ?= HEAD~1
.PHONY: app test check changed lint unit fuzz faults chromium screenshots clean

app: $(VENV)/.installed
	PARETOSCOPE_STUDY="$(STUDY)" $(BIN)/python app.py --port $(PORT)

# mypy needs one core for a minute in which the journeys mostly wait for their browser.
test: $(VENV)/.installed-dev chromium
	$(MAKE) --no-print-directory --jobs 2 lint unit

# Lint, types, and the tests of the files that changed since a commit (default: the last), in less than a minute.
#   make check SINCE=main
check: $(VENV)/.installed-dev
	$(MAKE) --no-print-directory --jobs 2 lint changed

changed: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $$($(BIN)/python -m tests.changed $(SINCE))

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Two processes: one begins with the journeys, the other with the rest, a file each at a time; the models of the
# tests are too small for a second thread.
unit: $(VENV)/.installed-dev chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Changed files and odd arguments through every way in, one after the other; one line at the end says what came of them.
#   make fuzz SEED=2 INPUTS=50000     others, more
fuzz: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --inputs $(INPUTS) --seed $(SEED)

# Damage to every byte of a workspace, on all cores, with a line at the end that counts; then the tests of `make test`
# with kill -9 at a hundred random moments, full disks at every moment, clocks.
#   make faults EVERY=100 KILLS=10     fewer
faults: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.every_byte --every $(EVERY)
	OMP_NUM_THREADS=1 PARETOSCOPE_KILLS=$(KILLS) $(BIN)/python -m pytest tests/faults

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Paretoscope needs Python 3.11 or newer: make app PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --requirement requirements.txt
	$(COMPILE)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/pip install --quiet --no-compile --requirement requirements-dev.txt
	$(COMPILE)
	@touch $@

# The browser journeys drive Debian's Chromium, rather the one without windows: it loads a page for three quarters of
# the work. Installed where we may; tests skip by name where there is none (never in CI).
chromium:
	@command -v chromium-headless-shell >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium-headless-shell >/dev/null; } || \
		command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		echo "No Chromium and no right to install one: the browser journeys will be skipped."

# The pictures in docs/images, light and dark, from the app itself. Its workspace there is /tmp/paretoscope.
screenshots: $(VENV)/.installed-dev chromium
	$(BIN)/python -m docs.screenshots

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
