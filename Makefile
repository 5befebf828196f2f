# Each target makes its own set-up: a private virtual environment with the locked versions of requirements/*.txt.
# The machine needs Python 3.11 or newer, git, make and a package index (pip's own settings and variables apply).
#
#   PYTHON=python3.13 VENV=.venv-3.13   run on another Python, in an environment of its own
#   JOBS=4                              test processes at once
#   TESTS=tests/patches                 only these tests
#   CRASH=40,2                          so many attempts and killed servers in `make crash`
#   FLEET=5000,10                       so many items of a fleet and kills of it in `make crash`
#   ENGINE=pgqueuer                     kill and stop workers on PostgreSQL instead; installs what `make peers` does

PYTHON ?= $(firstword $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$python -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$python; done))
VENV ?= .venv
JOBS ?= 4
TESTS ?= tests
# Tests of child processes whose imports, files or stderr measuring would change.
UNMEASURED := tests/patches/test_disk_errors.py::test_a_full_disk_is_not_a_conflict \
              tests/cli/test_start.py::test_a_list_imports_nothing_of_waits \
              tests/runtime/test_transport.py::test_import_is_light
CRASH ?= 200,20
ENGINE ?= loop

IS_NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
BIN := $(VENV)/bin
# Hashes are demanded by name: a file that had lost them would be refused rather than trusted.
INSTALL = $(BIN)/python -m pip install --quiet --require-hashes --requirement
UV_VERSION := 0.13.8
# A week of patience: malicious releases are mostly found and withdrawn within days.
COMPILE = UV_SYSTEM_CERTS=1 $(BIN)/uv pip compile --quiet pyproject.toml --universal \
          --python-version 3.11 --generate-hashes --no-header --annotation-style line --exclude-newer "7 days"

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1
# Other people's settings that would change where packages go, which modules are found, or how fast they start.
unexport PIP_USER PIP_TARGET PIP_PREFIX PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH VIRTUAL_ENV

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test slow generate check coverage crash peers bench docs lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.run ## a task from prompt to patch, on a cloud of your own
	@$(BIN)/coatcheck demo

test: $(VENV)/.test ## the tests (TESTS=path for some)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --hypothesis-profile=quick -m "not peer and not crash and not slow" $(TESTS)

slow: $(VENV)/.test ## what `make test` leaves out: tests of a second or more, and all examples of Hypothesis (TESTS=path)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "(slow or hypothesis) and not peer and not crash" $(TESTS)

check: $(VENV)/.check ## lint, format, spelling, types, layers, generated files, documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file tests/consumer/pyproject.toml tests/consumer
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/pyright --pythonpath $(BIN)/python --project tests/consumer
	@$(BIN)/codespell README.md SECURITY.md CONTRIBUTING.md CHANGELOG.md docs src
	@$(BIN)/python docs/project/tools/check_examples.py
	@$(BIN)/lint-imports --no-logo
	@set -e; for script in docs/project/tools/generate_*.py; do \
		test ! -e "$$script" || $(BIN)/python "$$script" --check; done
	@$(BIN)/sphinx-build -qW --keep-going -b html docs docs/_build/html

generate: $(VENV)/.check ## write the generated files anew
	@set -e; for script in docs/project/tools/generate_*.py; do $(BIN)/python "$$script"; done

coverage: $(VENV)/.test ## the tests with branch coverage, which must not fall below the floor of pyproject.toml
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -n $(JOBS) --dist worksteal -m "not peer and not crash" $(UNMEASURED:%=--deselect %) $(TESTS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered --skip-empty

crash: $(VENV)/.test $(if $(filter loop,$(ENGINE)),,$(VENV)/.peers) ## 200 hostile agents, 20 killed servers, a killed fleet (CRASH=attempts,kills FLEET=items,kills ENGINE=loop)
	@COATCHECK_CRASH=$(CRASH) COATCHECK_FLEET=$(FLEET) COATCHECK_ENGINE=$(ENGINE) \
		$(BIN)/python -m pytest -n $(JOBS) -m crash \
		$(if $(filter loop,$(ENGINE)),tests/crash,tests/engines)

peers: $(VENV)/.peers ## the tests against real programs, which it installs
	@PATH="$(CURDIR)/$(VENV)/peers/bin:$$PATH" $(BIN)/python -m pytest -m "peer and not crash" tests/peers tests/store tests/engines

bench: $(VENV)/.peers ## every measurement in bench/
	@failed=; for script in $$(grep -l __main__ bench/*.py); do \
		echo "== $$script"; \
		PATH="$(CURDIR)/$(VENV)/peers/bin:$$PATH" $(BIN)/python "$$script" || failed="$$failed $$script"; done; \
		if [ -n "$$failed" ]; then echo "missed a goal, or failed:$$failed"; exit 1; fi

docs: $(VENV)/.check ## the documentation, in docs/_build/html
	@$(BIN)/sphinx-build -qW --keep-going -b html docs docs/_build/html
	@echo docs/_build/html/index.html

lock: $(VENV)/.made ## newest versions into requirements/*.txt
	@$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	@$(COMPILE) --upgrade --all-extras --group dev --output-file requirements/check.txt
	@$(COMPILE) --constraint requirements/check.txt --all-extras --group build --group test --output-file requirements/test.txt
	@$(COMPILE) --constraint requirements/check.txt --group build --output-file requirements/run.txt
	@for file in requirements/*.txt; do \
		{ echo "# Made by \`make lock\` from pyproject.toml: versions for every Python and platform, with hashes."; cat $$file; } > $$file.new; \
		mv $$file.new $$file; done

clean: ## away with everything that make made
	@rm -rf .venv .venv-* .coverage* .hypothesis .mypy_cache .ruff_cache .import_linter_cache dist docs/_build
	@find src tests docs bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(IS_NEW_ENOUGH)' 2>/dev/null || { \
		echo "coatcheck needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot make virtual environments; Debian has that in the package python3-venv" >&2; exit 1; }
	@touch $@

# The project itself is installed from the checkout, offline, with the build backend that run.txt locks.
$(VENV)/.run: $(VENV)/.made requirements/run.txt pyproject.toml src/coatcheck/_version.py
	@$(INSTALL) requirements/run.txt
	@$(BIN)/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	@$(INSTALL) requirements/test.txt
	@touch $@

$(VENV)/.check: $(VENV)/.run requirements/check.txt
	@$(INSTALL) requirements/check.txt
	@touch $@

# After .check, which brings a node for machines that have none.
$(VENV)/.peers: $(VENV)/.check tests/peers/setup.sh
	@tests/peers/setup.sh $(VENV)
	@touch $@
