PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin
CLOUDS := .venv-clouds
COVERAGE := $(RUN)/dbt-coverage compute --run-artifacts-dir dbt_project/target --cov-report /dev/null --cov-fail-under 1
# It asks for an older DuckDB, and works with ours; so it stands in no lock.
EMULATOR := fakesnow==0.11.4

.PHONY: setup clouds demo test test-all lint format lock clean

setup: $(VENV)/.complete

# The lock pins every version; the project itself goes in without its dependencies being looked at again.
$(VENV)/.complete: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --quiet --disable-pip-version-check --requirement requirements.lock
	$(RUN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Snowflake's, BigQuery's and Redshift's adapters and an emulator, beside what is in .venv; `make test` uses them if there.
clouds: $(CLOUDS)/.complete
	$(CLOUDS)/bin/python -m pytest tests/test_snowflake.py tests/test_snowflake_inputs.py tests/test_snowflake_replay.py

$(CLOUDS)/.complete: requirements-clouds.lock $(VENV)/.complete
	$(PYTHON) -m venv $(CLOUDS)
	$(RUN)/python -c "import site; print(site.getsitepackages()[0])" > $$($(CLOUDS)/bin/python -c "import site; print(site.getsitepackages()[0])")/hookmart.pth
	$(CLOUDS)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --requirement requirements-clouds.lock
	$(CLOUDS)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps $(EMULATOR)
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
	$(RUN)/python -m tests.dbt_artifacts dbt_project/target
	$(RUN)/dbt-bouncer run --show-all-failures
	$(COVERAGE) doc --model-path-exclusion-filter models/staging/_raw__sources.yml > dbt_project/target/documented.txt
	$(COVERAGE) unit-test --model-path-filter models/marts > dbt_project/target/tested.txt

format: setup
	$(RUN)/ruff check --fix-only --quiet .
	$(RUN)/ruff format --quiet .
	$(RUN)/sqlfmt --quiet dbt_project

# Needs pip-tools; takes the newest versions that pyproject.toml allows.
lock:
	pip-compile --quiet --allow-unsafe --no-strip-extras --extra dev --extra postgres --extra ducklake \
	  --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-header --output-file requirements.lock pyproject.toml

	sed -nE 's/^([A-Za-z0-9_.-]+)(\[[^]]*\])?(==[^ ]+).*/\1\3/p' requirements.lock > $(VENV)/pins.txt
	pip-compile --quiet --allow-unsafe --strip-extras --extra postgres --extra ducklake --extra snowflake --extra bigquery \
	  --extra redshift --constraint $(VENV)/pins.txt --generate-hashes --no-annotate --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-header --output-file requirements-clouds.lock pyproject.toml

clean:
	rm -rf $(VENV) $(CLOUDS) var
