# Everything here works in a fresh clone with Python 3.11 or newer and make; pip fetches the rest.
# Environments are made once and brought up to date when a pyproject.toml or a list of requirements changes.

PYTHON ?= python3
# By file: what a file's tests share (an environment, built wheels) is then made once. Without the reordering by number
# of tests, which leaves files of few long tests for the end, where one process waits for the other.
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder

BIN := .venv/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
PROJECTS := pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))
TOY_FILES := $(shell find tests/toy_plugin -name '*.py' -o -name '*.toml')
# Models have to open there too: the last of 2.x, and the first that reads skops and pt2.
OLDER_MLFLOW := 2.22.0 3.9.0
# Data is enforced as stock MLflow does it with this pandas, too; with it comes what newer ones do without.
OLDER_PANDAS := pandas==2.3.3 pytz==2026.6 tzdata==2026.6
# Of the tensorflow in constraints.txt.
TF_SERVING_MESSAGES := tensorflow-serving-api==2.21.0
SOURCES := core/src $(wildcard plugins/*/src examples/*/src)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint types format clean .venv-clients .venv-engines .venv-mlflow .venv-objects .venv-peers .venv-signing

help:
	@echo "make demo    train, save, open and verify a real model of every flavor"
	@echo "make test    run all tests (PYTEST_ARGS='-x -k name' and the like choose)"
	@echo "make check   lint, types and all tests: what CI runs"
	@echo "make format  rewrite the code in the project's style"
	@echo "make clean   remove environments and caches"

demo: .venv/demo.stamp
	$(BIN)/palate quickstart --directory build/demo

test: .venv/dev.stamp .venv-mlflow .venv-clients .venv-engines .venv-objects .venv-signing
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: lint types test

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.stamp
	$(BIN)/mypy --strict $(SOURCES)

format: .venv/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-clients .venv-engines .venv-mlflow .venv-objects .venv-peers .venv-signing build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

# One pip run for all of them: a plugin's "palate>=…" is then met by the core beside it, not by the index.
.venv/demo.stamp: .venv/bin/python $(PROJECTS) constraints.txt
	$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e '.[evaluate,pandas,parquet,remote,serve,sign]' $(addprefix -e ./,$(PLUGINS))
	touch $@

# The toy plugin is built and copied, not linked: the tests find it as they would find a stranger's.
.venv/dev.stamp: .venv/demo.stamp requirements-dev.txt $(TOY_FILES)
	$(BIN)/python $(PIP_INSTALL) -c constraints.txt -r requirements-dev.txt
	$(BIN)/python $(PIP_INSTALL) --no-deps --force-reinstall ./tests/toy_plugin
	touch $@

# Stock MLflow, the judge of compatibility, apart from Palate: each has to do without the other.
.venv-mlflow: .venv-mlflow/ready.stamp .venv-mlflow/pandas-2/ready.stamp

# Older readers stand beside it, each in a folder for PYTHONPATH, over the same frameworks.
.venv-mlflow/ready.stamp: requirements-mlflow.txt
	$(PYTHON) -m venv --clear .venv-mlflow
	.venv-mlflow/bin/python $(PIP_INSTALL) -r requirements-mlflow.txt
	for version in $(OLDER_MLFLOW); do \
	  .venv-mlflow/bin/python $(PIP_INSTALL) --no-deps --target .venv-mlflow/readers/$$version mlflow-skinny==$$version \
	    || exit 1; \
	done
	touch $@

# Both environments take it from here, over their own numpy.
.venv-mlflow/pandas-2/ready.stamp: .venv-mlflow/ready.stamp
	.venv-mlflow/bin/python $(PIP_INSTALL) --no-deps --target .venv-mlflow/pandas-2 --upgrade $(OLDER_PANDAS)
	touch $@

# Clients of the server that others wrote, apart from it; the messages of TensorFlow Serving stand over our tensorflow.
.venv-clients: .venv-clients/ready.stamp

.venv-clients/ready.stamp: requirements-clients.txt
	$(PYTHON) -m venv --clear .venv-clients
	.venv-clients/bin/python $(PIP_INSTALL) -r requirements-clients.txt
	.venv-clients/bin/python $(PIP_INSTALL) --no-deps --target .venv-clients/messages $(TF_SERVING_MESSAGES)
	touch $@

# The reference implementation of model signing, the judge of our signatures; none of it is installed beside Palate.
.venv-signing: .venv-signing/ready.stamp

.venv-signing/ready.stamp: requirements-signing.txt
	$(PYTHON) -m venv --clear .venv-signing
	.venv-signing/bin/python $(PIP_INSTALL) -r requirements-signing.txt
	touch $@

# Servers of object storage, apart from Palate: they need a great deal that it does not.
.venv-objects: .venv-objects/ready.stamp

.venv-objects/ready.stamp: requirements-objects.txt
	$(PYTHON) -m venv --clear .venv-objects
	.venv-objects/bin/python $(PIP_INSTALL) -r requirements-objects.txt
	touch $@

# Engines for more than one machine, with Palate in it, as on the machines of a cluster. Brought up to date, not made
# anew: it is 2 GB.
.venv-engines: .venv-engines/ready.stamp

ENGINE_PLUGINS := plugins/sklearn_flavor plugins/xgboost_flavor

.venv-engines/ready.stamp: requirements-engines.txt constraints.txt pyproject.toml $(addsuffix /pyproject.toml,$(ENGINE_PLUGINS))
	$(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python $(PIP_INSTALL) -c constraints.txt -r requirements-engines.txt \
	  -e '.[pandas,parquet]' $(addprefix -e ./,$(ENGINE_PLUGINS))
	touch $@

# What benchmarks/serving.py measures beside Palate; neither tests nor checks need it.
.venv-peers: .venv-peers/ready.stamp

.venv-peers/ready.stamp: requirements-peers.txt
	$(PYTHON) -m venv --clear .venv-peers
	.venv-peers/bin/python $(PIP_INSTALL) -r requirements-peers.txt
	touch $@
