# `make` alone lists what there is. The tools do the work; this file names them.

# The first Python on the PATH that fits, or the one that `make PYTHON=... TARGET` names.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && echo $$python && break; done)
PORT ?= 8000
IN_VENV = .venv/bin/python

.PHONY: help serve test notebooks lint bench lighthouse setup-site setup-test
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

serve: setup-site ## build the course and serve it on this machine (PORT=8000)
	@$(IN_VENV) tools/serve.py serve --port $(PORT)

test: setup-test lint ## run every check
	@$(IN_VENV) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --cov

notebooks: setup-test ## build the .ipynb files from their .py sources
	@$(IN_VENV) tools/notebooks.py

lint: setup-test ## check the style of the code (ruff)
	@$(IN_VENV) -m ruff check --quiet
	@$(IN_VENV) -m ruff format --quiet --check

bench: setup-test ## measure speed and memory against peers (minutes)
	@$(IN_VENV) -m benchmarks

lighthouse: setup-test ## measure four pages with Lighthouse (10 minutes)
	@$(IN_VENV) tools/serve.py build
	@$(IN_VENV) -m tools.lighthouse

setup-site setup-test: setup-%:
	@command -v "$(PYTHON)" >/dev/null || { echo "setup: there is no" \
	"$(or $(PYTHON),Python from 3.11 to 3.13) on the PATH: install one (Debian, Ubuntu:" \
	"apt-get install python3 python3-venv), or name it with make PYTHON=..." >&2; \
	exit 1; }
	@"$(PYTHON)" tools/setup.py $*
