# An index over plain commands; needs Python 3 and make. Everything installed goes to .venv.
PYTHON ?= python3
JOBS ?= 2
# of test-all, side by side: half of the time they wait for time-outs
ENVIRONMENTS ?= 3
# RERUN=1 runs a test that failed once more, and names it: for machines that others use too
RERUN ?=
BIN := .venv/bin
# The backend needs 3.9; the client does not.
MODERN = $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 9))'
# What an installation is judged by: where it changed, it is made anew.
DEFINED_BY = setup.py setup.cfg pyproject.toml server/pyproject.toml server/hatch_build.py
.PHONY: help demo test test-all bench lint types docs references screenshots site clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: | .venv/made ## start a backend, send this machine's readings, show what was stored
	@$(MODERN) || { echo "make demo: the backend needs Python 3.9 or later; try make clean demo PYTHON=python3.x"; exit 1; }
	@$(MAKE) -s --no-print-directory .venv/installed
	@echo "make: running $(BIN)/iobeam-server demo"
	@$(BIN)/iobeam-server demo
	@echo
	@echo "The commands are in $(CURDIR)/$(BIN). For a backend of your own:"
	@echo
	@echo "    . .venv/bin/activate           # puts iobeam and iobeam-server on this shell's path"
	@echo "    iobeam-server serve            # runs until Ctrl-C; prints the lines to paste elsewhere"
	@echo "    iobeam-server demo --keep      # or the demo again, with its page left to look at"

test: .venv/ready ## all tests on this Python
	@echo "make test: some 15 minutes on two slow idle cores, the first three of them for the client"
	$(BIN)/python tests/guard.py -m tests -j $(JOBS) $(if $(RERUN),--rerun)
	@if $(MODERN); then cd server && IOBEAM_ATTACK_SLACK=$(JOBS) ../$(BIN)/python ../tests/guard.py -m pytest -n $(JOBS) --dist worksteal $(if $(RERUN),--reruns 1 -rR); \
	else echo "make test: left out the tests of the backend (server/), which needs Python 3.9 or later"; fi

# Else tox seeds its environments with whatever pip some earlier virtualenv of this user has
# fetched: the newest one for 3.8 does not start there.
test-all lint types site: export VIRTUALENV_OVERRIDE_APP_DATA = $(CURDIR)/.tox/virtualenv

test-all: .venv/tox/ready .venv/ready ## all tests on every Python found, oldest and newest dependencies, lint, types
	rm -rf build .tox/client && $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir .tox/client .
	PATH="$$PATH$$(sh .ci/interpreters)" .venv/tox/bin/python tests/guard.py -m tox -p $(ENVIRONMENTS) --parallel-live --parallel-no-spinner --installpkg .tox/client/*.whl

bench: .venv/ready ## measure the client and the backend
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks server

lint: .venv/tox/ready ## ruff, and vermin for what must run on 2.7
	.venv/tox/bin/tox -q -e lint

types: .venv/tox/ready ## mypy --strict
	.venv/tox/bin/tox -q -e types

docs: .venv/ready ## run the snippets in the documentation
	$(BIN)/python -m unittest -v tests.test_docs

references: .venv/ready ## write anew what is made of the code: docs/api.md, the server's commands, manual pages
	$(BIN)/python docs/make_api.py
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_man.py

screenshots: .venv/ready ## take the pictures of the backend's page anew, docs/page*.png
	$(BIN)/python docs/make_screenshots.py

site: .venv/tox/ready ## make the documentation's pages, in site/, and see that no link is dead
	.venv/tox/bin/tox -q -e docs
	@echo "make site: open $(CURDIR)/site/index.html"

clean: ## remove what the other targets made
	rm -rf .venv .tox site build dist *.egg-info server/build server/dist server/iobeam_server/page/uplot .mypy_cache .ruff_cache .pytest_cache server/.pytest_cache
	find iobeam tests server examples -name __pycache__ -prune -exec rm -rf {} +

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 6))' || { echo "make: $(PYTHON) has to be Python 3.6 or later; try make PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot make environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "make: making an environment in .venv"
	@$(PYTHON) -m venv .venv
	@# 22 installs in place what has no setup.py; a newer one is not worth its seconds
	@$(BIN)/python -c 'import pip, sys; sys.exit(int(pip.__version__.split(".")[0]) < 22)' \
		|| { echo "make: its pip is old, getting a newer one"; $(BIN)/python tests/installing.py --upgrade pip; }
	@touch $@

# In place, so that it is always these files that run.
.venv/installed: $(DEFINED_BY) | .venv/made
	@echo "make: installing the client and the backend, some 20 MB"
	@$(BIN)/python tests/installing.py -e . $$(if $(MODERN); then echo -e ./server; fi)
	@touch $@

.venv/ready: $(DEFINED_BY) | .venv/made
	@echo "make: installing the client and the backend, and what their tests need, some 500 MB"
	@$(BIN)/python tests/installing.py -e '.[test]' $$(if $(MODERN); then echo -e './server[test]'; fi)
	@touch $@ .venv/installed

.venv/tox/ready: tox.ini | .venv/made
	$(BIN)/python -m venv .venv/tox
	.venv/tox/bin/python -m pip install --quiet $$(sed -n '/^requires/,/^$$/s/^ *\([a-z]*==.*\)/\1/p' tox.ini)
	@touch $@
