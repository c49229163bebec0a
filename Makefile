PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin

.PHONY: setup demo test test-all lint format lock clean

setup: $(VENV)/.complete

# The lock pins every version; the project itself goes in without its dependencies being looked at again.
$(VENV)/.complete: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --quiet --disable-pip-version-check --requirement requirements.lock
	$(RUN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(RUN)/hookmart demo

test: setup
	$(RUN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-all: setup
	$(RUN)/python -m pytest -n 2 --dist loadfile

lint: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/sqlfmt --check --quiet dbt_project

format: setup
	$(RUN)/ruff check --fix-only --quiet .
	$(RUN)/ruff format --quiet .
	$(RUN)/sqlfmt --quiet dbt_project

# Needs pip-tools; takes the newest versions that pyproject.toml allows.
lock:
	pip-compile --quiet --allow-unsafe --no-strip-extras --extra dev --extra postgres --extra ducklake \
	  --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) var
