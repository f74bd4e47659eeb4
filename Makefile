# An index over plain commands; needs Python 3 and make. Everything installed goes to .venv.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
# The backend needs 3.9; the client does not.
MODERN = $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 9))'

.PHONY: help demo test test-all bench lint types docs api-docs clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/ready ## start a backend, send this machine's readings, show what was stored
	@$(MODERN) || { echo "make demo: the backend needs Python 3.9 or later; try make clean demo PYTHON=python3.x"; exit 1; }
	$(BIN)/iobeam-server demo

test: .venv/ready ## all tests on this Python
	$(BIN)/python -m unittest discover
	@if $(MODERN); then cd server && ../$(BIN)/python -m pytest; \
	else echo "make test: left out the tests of the backend (server/), which needs Python 3.9 or later"; fi

test-all: .venv/tox/ready .venv/ready ## all tests on every Python found, oldest and newest dependencies, lint, types
	rm -rf build .tox/client && $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir .tox/client .
	PATH="$$PATH$$(sh .ci/interpreters)" .venv/tox/bin/tox -p $(JOBS) --parallel-live --parallel-no-spinner --installpkg .tox/client/*.whl

bench: .venv/ready ## measure the client and the backend
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks server

lint: .venv/tox/ready ## ruff, and vermin for what must run on 2.7
	.venv/tox/bin/tox -q -e lint

types: .venv/tox/ready ## mypy --strict
	.venv/tox/bin/tox -q -e types

docs: .venv/ready ## run the snippets in the documentation
	$(BIN)/python -m unittest -v tests.test_docs

api-docs: .venv/ready ## write docs/api.md anew from the server
	$(BIN)/python docs/make_api.py

clean: ## remove what the other targets made
	rm -rf .venv .tox build dist *.egg-info server/build server/dist .mypy_cache .ruff_cache .pytest_cache server/.pytest_cache
	find iobeam tests server examples -name __pycache__ -prune -exec rm -rf {} +

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 6))' || { echo "make: $(PYTHON) has to be Python 3.6 or later; try make PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot make environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

# The backend first: it brings a copy of the client, which the editable one then replaces.
.venv/ready: setup.py setup.cfg server/pyproject.toml server/hatch_build.py | .venv/made
	if $(MODERN); then $(BIN)/python -m pip install -qq -e './server[test]'; fi
	$(BIN)/python -m pip install -qq -e '.[test]'
	@touch $@

.venv/tox/ready: tox.ini | .venv/made
	$(BIN)/python -m venv .venv/tox
	.venv/tox/bin/python -m pip install --quiet $$(sed -n '/^requires/,/^$$/s/^ *\([a-z]*==.*\)/\1/p' tox.ini)
	@touch $@
