# The commands of the course; `make` alone lists them. PLATES_DATA, PLATES_FAST and PLATES_PUBLISH: see README.md.
# NOTEBOOKS="notebooks/01_data.ipynb ..." restricts run, full and publish; PYTESTFLAGS adds options to test.

PYTHON ?= python3
BIN := .venv/bin
SHARED := -n 2 --dist loadfile --no-loadscope-reorder
NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout=900

.DEFAULT_GOAL := help
.PHONY: help .venv run full publish test weights mutate lab lint clean

help:  ## list the commands
	@grep -hE '^[a-z.]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-8s  %s\n", $$1, $$2 }'

# Done means that the last thing written, a copy of the requirements, equals the file: an interrupted install never has it.
.venv:  ## install the requirements, if they are not (PYTHON=python3.12 chooses another Python)
	@if ! cmp -s requirements.txt .venv/installed.txt; then set -e; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is missing or older than Python 3.11; install 3.11 or newer and name it: make PYTHON=python3.12" >&2; exit 1; }; \
	  echo "Installing requirements.txt into .venv: a few minutes, about 6 GB on Linux."; \
	  rm -f .venv/installed.txt; \
	  $(PYTHON) -m venv --clear .venv; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt; \
	  $(BIN)/python -c 'import cv2, torch, torchvision' || \
	    { echo "A library above does not load; on Debian or Ubuntu, apt-get install libgl1 libglib2.0-0 and try again." >&2; exit 1; }; \
	  cp requirements.txt .venv/installed.part; \
	  mv .venv/installed.part .venv/installed.txt; fi

run: .venv  ## execute the notebooks in the fast profile, two at once, into build/notebooks
	$(BIN)/python -m lib.notebooks run --at-once 2 $(NOTEBOOKS)

full: .venv  ## the same with the paper's recipe: a GPU, or patience
	PLATES_FAST=0 $(BIN)/python -m lib.notebooks run $(NOTEBOOKS)

publish: .venv  ## the only command that writes into notebooks/ and figures/
	PLATES_FAST=$${PLATES_FAST:-0} $(BIN)/python -m lib.notebooks publish $(NOTEBOOKS)
	$(BIN)/python -m lib.claims

# On two cores (conftest.py shares the work out), always on the scenes: the same result on every machine.
test: .venv  ## unit tests and every notebook under nbval, on two cores
	PLATES_DATA=scenes PLATES_FAST=1 PLATES_PUBLISH=0 $(BIN)/python -m pytest tests notebooks $(SHARED) $(NBVAL) $(PYTESTFLAGS)

weights: .venv  ## the weights in the repository against their card, on the photographs they were made with
	$(BIN)/python -m pytest tests/photographs.py $(PYTESTFLAGS)

mutate: .venv  ## 20,000 mutated inputs each to decoder, service and film reader: three quarters of an hour
	PLATES_EXAMPLES=$${PLATES_EXAMPLES:-20000} $(BIN)/python -m pytest tests/test_images.py tests/test_service.py \
	  tests/test_video.py -k "mutated or description" --hypothesis-show-statistics $(PYTESTFLAGS)

lab: .venv  ## JupyterLab on the notebooks
	$(BIN)/python -m lib.notebooks lab

lint: .venv  ## ruff: rules and format, notebooks too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:  ## remove what runs leave behind; .venv stays
	rm -rf build .pytest_cache .ruff_cache .hypothesis .coverage
