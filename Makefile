# Two commands on a fresh clone: `make demo` and `make test`. Everything runs in .venv, made here and rebuilt when
# pyproject.toml changes. Nothing needs make: `pip install -e ".[demo]"`, then `fullcast demo`.

PYTHON      ?= python3
# The CPU build of torch comes from an index of its own: PyPI's default build for Linux is CUDA's (some GB). Examples:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cu128
# Without it pip takes what its own configuration finds.
TORCH_INDEX ?=
TORCH_SPEC  ?= torch==2.13.0
DEMO_DIR    ?= demo
# Tests run in as many processes, a file's tests in one.
TEST_PROCESSES ?= 2

BIN   := .venv/bin
READY := .venv/.ready

# One thread's spinning would eat the second core while pictures are decoded.
export OMP_WAIT_POLICY ?= PASSIVE
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.PHONY: demo test lint format types study clean help

help: ## this list
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(READY) ## the whole journey on the pocket show; ends by printing the path of report.html
	$(BIN)/fullcast demo $(DEMO_DIR)

test: $(READY) ## the tests
	$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist loadfile $(ARGS)

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check src tests checks recipes
	$(BIN)/ruff format --check src tests checks recipes
	$(BIN)/mypy

format: $(READY) ## write the house's format
	$(BIN)/ruff check --fix-only -q src tests checks recipes
	$(BIN)/ruff format src tests checks recipes

check-%: $(READY) ## check-NAME or check-NAME-K: the numbered checks of an issue (SEED= for given shows)
	$(BIN)/python -m checks $(subst -, ,$*)

SLICE ?= 540
study: $(READY) ## a slice of the long study of check-trainer-6, SLICE= seconds; run again until it says that it is done
	$(BIN)/python -m checks.trainer.study $(SLICE)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Fullcast needs Python 3.11 or newer; this is " \
	  + sys.version.split()[0] + ": give another one, as in make demo PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH_SPEC)"
	$(BIN)/python -m pip install --quiet -e ".[demo,dev]"
	@touch $@

clean: ## remove the environment and what the demo made
	rm -rf .venv $(DEMO_DIR)
