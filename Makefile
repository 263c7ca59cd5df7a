# Two commands matter: `make run` and `make test`. Both set up .venv first, once for each pyproject.toml.
PYTHON ?= $(shell for name in python3.11 python3.12 python3; do $$name -c '' 2>/dev/null && echo $$name && exit; done; echo python3)
SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
HASH := $(shell cat pyproject.toml | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-16)
ARGS ?=
PIP = $(BIN)/python -m pip install --disable-pip-version-check
# LOCKED=cpu or LOCKED=cuda: the versions of locks/, their hashes compared; otherwise the newest that pyproject.toml allows
LOCKED ?=
LOCK := $(LOCKED:%=locks/%.txt)
ifneq ($(LOCK),$(wildcard $(LOCK)))
$(error expected LOCKED=cpu or LOCKED=cuda, got LOCKED=$(LOCKED))
endif
ifdef LOCK
STAMP := $(VENV)/.installed-$(HASH)-$(LOCKED)-$(shell cat locks/common.txt $(LOCK) | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-16)
else
STAMP := $(or $(firstword $(wildcard $(VENV)/.installed-$(HASH)*)),$(VENV)/.installed-$(HASH))
endif

.DEFAULT_GOAL := help
.PHONY: help setup run test lab docs zh release clean lock latest
.SHELLFLAGS := -euo pipefail -c

help: ## this list
	@echo "Breakthrough: a hands-on AI systems course. Commands:"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18
	@echo "Arguments go through ARGS: make run ARGS='01 --profile tiny', make test ARGS='-k moe'"
	@echo "Another Python: make run PYTHON=python3.11"

setup: $(STAMP) ## .venv with everything, when pyproject.toml changed

run: $(STAMP) ## execute every lesson and solved lab, write build/report/index.html
	@$(BIN)/breakthrough run $(ARGS)

# nbval runs the lessons as a learner finds them, the rest lies in tests/; one session, one summary
test: $(STAMP) ## all tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests $(wildcard notebooks) -n 2 --dist loadscope \
	  --nbval --nbval-current-env --nbval-sanitize-with src/breakthrough/course/nbval.cfg $(ARGS)

lab: $(STAMP) ## JupyterLab on notebooks/00_start.ipynb; ARGS=01 for a module's lab
	@$(BIN)/breakthrough lab $(ARGS)

# zh/ is made, not kept: a notebook that was worked in there is never replaced
zh: $(STAMP) ## 中文: JupyterLab on zh/notebooks/00_start.ipynb
	@$(BIN)/breakthrough release --lang zh
	@BREAKTHROUGH_LANG=zh $(BIN)/jupyter lab --ServerApp.root_dir='$(CURDIR)' $(if $(filter 0,$(shell id -u)),--allow-root) zh/notebooks/00_start.ipynb $(ARGS)

docs: $(STAMP) ## the static site, build/docs/index.html
	@$(BIN)/breakthrough docs $(ARGS)

lock: $(STAMP) ## locks/ from what is installed
	@$(BIN)/breakthrough lock $(ARGS)

latest: $(STAMP) ## each dependency at its newest version, tests by room, build/latest/report.md
	@$(BIN)/breakthrough latest $(ARGS)

release: $(STAMP) ## labs/ from solutions/
	@$(BIN)/breakthrough release $(ARGS)

clean: ## remove .venv and build/
	rm -rf $(VENV) build

# The stamp is the last thing written: an install that was interrupted starts again.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null || { \
	  echo "expected Python 3.11 or 3.12, got $$($(PYTHON) --version 2>&1 | head -1); try make $(firstword $(MAKECMDGOALS)) PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "expected Python's venv module, got none; try apt-get install python3-venv" >&2; exit 2; }
	@rm -f $(VENV)/.installed-*
	@test -x $(BIN)/python && $(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null \
	  || { echo "making $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing the course and its packages: a few minutes the first time"
	@{ $(if $(LOCK),$(PIP) --no-deps --require-hashes -r $(LOCK) && $(PIP) --no-deps --no-build-isolation -e .,$(PIP) -e '.[all]'); } | while IFS= read -r line; do \
	  case $$line in Collecting*|*Downloading*|Building*|Installing*) \
	    if [[ -t 1 ]]; then printf '\r\033[K  %s' "$${line:0:76}"; elif [[ $$line == Installing* ]]; then echo "installing packages"; fi;; \
	  esac; done; echo
	@touch $@
