# `make` alone lists the targets. `make grade` and `make test` need nothing before them: the first one
# that needs it makes .venv, and later ones leave it alone until pyproject.toml or constraints.txt change.
#
# PYTHON=python3.12   makes .venv with that Python (3.11 or newer) and not with the first one found
# ARGS='...'          is handed on: make grade ARGS='--exercise makemore/ex1_atoms'
# TRACK=transformer   grades the lessons of one track
# REPO=owner/name     is where on GitHub the badges of `make notebooks` point to
# STRICT=1            makes `make grade` fail unless all is right; CI=true, as every CI sets it, does the same

PYTHON ?=
ARGS    =
TRACK   =
STRICT  = $(CI)
REPO    = $(DOJO_REPO)

VENV      := .venv
BIN       := $(VENV)/bin
MADE      := $(VENV)/.made
INSTALLED := $(VENV)/.installed
DEV       := $(VENV)/.installed-dev
LAB       := $(VENV)/.installed-lab

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.NOTPARALLEL:
MAKEOVERRIDES = # what is set for this make is not for one that a test calls
.PHONY: help setup grade watch hint train lab test floors lint types check exercises notebooks bench mutants security pictures gradescope clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

# ---- For learners ----

setup: $(INSTALLED) ## make .venv with what grading needs, and nothing else

# `dojo grade` ends with 1 when a gradient is not right yet. That is a result and no failure of make, whose
# "Error 1" would be the last thing that the learner reads: so 1 counts as success here, unless STRICT is set.
grade: $(INSTALLED) ## grade exercises/ (TRACK=transformer: one track); fails only on bad input (STRICT=1 or CI=true: unless all is right)
	@$(BIN)/dojo grade exercises/$(TRACK) $(ARGS)$(if $(filter-out 0 false,$(STRICT)),, || [ $$? -eq 1 ])

watch: $(INSTALLED) ## grade again each time a file in exercises/ is saved; q ends
	@$(BIN)/dojo watch $(ARGS)

hint: $(INSTALLED) ## the next hint for the first gradient that is not right (ARGS=dprobs: for that one)
	@$(BIN)/dojo hint $(ARGS)

train: $(INSTALLED) ## run your own training loop (exercise 4) in full, and sample names
	@$(BIN)/dojo train $(ARGS)

# jupytext's extension takes the newer of two files when a notebook is opened. So `dojo sync` goes first, and no
# lab starts where both have changed; afterwards it notes what both agreed on. Ctrl-C ends the lab, not the recipe.
lab: $(LAB) ## open the map of the lessons in JupyterLab; notebooks/ and exercises/ are kept in step
	@$(BIN)/dojo sync && $(BIN)/dojo welcome >/dev/null && { trap : INT; \
	$(BIN)/jupyter lab --notebook-dir=. --LabApp.default_url=/lab/tree/welcome.ipynb $(ARGS); \
	$(BIN)/dojo sync; }

# ---- For authors and developers ----

# Bytecode is kept even where the environment says no: the tests start Python some hundred times.
test: $(DEV) ## run the tests (ARGS='-k cmp'); those marked slow only where CI=true, or with ARGS='-m slow'
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal -q $(if $(filter-out 0 false,$(CI)),,-m 'not slow') $(ARGS)

floors: $(DEV) ## grade every solution with the lowest versions that pyproject.toml allows, and with the newest (gigabytes)
	@DOJO_FLOORS=1 $(BIN)/python -m pytest -q -m floors tests/test_floors.py $(ARGS)

lint: $(DEV) ## ruff; which room of grader/ may import which
	@$(BIN)/ruff check $(ARGS) .
	@$(BIN)/lint-imports --no-logo --cache-dir $(VENV)/.import-linter-cache >$(VENV)/.imports 2>&1 || { cat $(VENV)/.imports; exit 1; }

types: $(DEV) ## mypy, strict for grader/
	@$(BIN)/mypy $(ARGS)

exercises: $(DEV) ## derive exercises/ and notebooks/ from solutions/
	@$(BIN)/dojo author build $(ARGS)

notebooks: $(DEV) ## the same with "Open in Colab" badges (REPO=owner/name; pyproject.toml has the default)
	@DOJO_REPO='$(REPO)' $(BIN)/dojo author build $(ARGS)

check: $(DEV) ## prove the content: derived files have no diff, every stub fails, every solution passes
	@$(BIN)/dojo author check $(ARGS)

bench: $(DEV) ## measure speed, as ratios within one run, and batches
	@$(BIN)/python benchmarks/bench.py $(ARGS)
	@$(BIN)/python benchmarks/batch.py $(filter --full,$(ARGS))
	@$(BIN)/python benchmarks/growth.py

mutants: $(DEV) ## prove the grader on wrong answers by the hundred (some minutes)
	@$(BIN)/python -m tests.mutation.report $(ARGS)

security: $(DEV) ## meet every hostile submission on every isolation level, and write docs/attacks.md (some minutes)
	@$(BIN)/python -m tests.attacks.report $(ARGS)

pictures: $(DEV) ## draw the README's pictures: a graded run, a notebook, progress(), the HTML report
	@$(BIN)/python -m docs.pictures $(ARGS)

gradescope: $(DEV) ## build the autograder for Gradescope, dist/gradescope.zip (ARGS='--exercise ex1')
	@$(BIN)/dojo gradescope --out dist/gradescope.zip $(ARGS)

clean: ## remove .venv, caches and build outputs, never your work
	@rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- The environment ----
# A stamp is touched only after its pip has ended well, so an interrupted install leaves none. `.unfinished`
# stays behind when pip was killed half-way, and then .venv is made anew: no package is left half-written.

# $(call install,REQUIREMENT,SIZE): the one pip call. -qq hides pip's warnings and shows its errors.
define install
	@if [ -e $@ ]; then echo "Bringing $(VENV) up to date ..."; \
	else echo "Setting up $(VENV) (once; about $(2), more where pip's torch brings CUDA) ..."; fi
	@touch $(VENV)/.unfinished
	@trap 'exit 130' INT TERM; \
	$(BIN)/python -m pip install -qq --no-input --disable-pip-version-check -c constraints.txt -e '$(1)' \
		|| { status=$$?; [ $$status -ge 128 ] || rm -f $(VENV)/.unfinished; \
		     echo "pip could not install what $(VENV) needs; its words stand above" >&2; exit 1; }
	@rm -f $(VENV)/.unfinished
	@touch $@
endef

$(INSTALLED): pyproject.toml constraints.txt $(MADE)
	$(call install,.,1 GB)

$(DEV): pyproject.toml constraints.txt $(MADE)
	$(call install,.[dev],1 GB)
	@touch $(INSTALLED)

$(LAB): pyproject.toml constraints.txt $(MADE)
	$(call install,.[lab],1 GB)
	@touch $(INSTALLED)

# Looked at every time (some 10 ms), written only when .venv is made: it holds the folder that .venv was made
# for, because the scripts in bin/ name it. A .venv of your own that works, and has pip, is taken as it is.
$(MADE): FORCE
	@if [ -e $(VENV)/.unfinished ] || ! $(BIN)/python -ISc '' 2>/dev/null; then rm -rf $(VENV); fi; \
	here=`pwd -P`; \
	if [ -f $@ ]; then \
		IFS= read -r there <$@; [ "$$there" = "$$here" ] && exit 0; rm -rf $(VENV); \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		found=; \
		for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python); do \
			"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
			found=$$python; \
			"$$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
			rm -rf $(VENV); "$$python" -m venv $(VENV) && printf '%s\n' "$$here" >$@ && exit 0; \
		done; \
		if [ -n "$$found" ]; then \
			echo "$$found cannot make a virtual environment; install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; \
		else \
			echo "No Python 3.11 or newer found$(if $(PYTHON), as $(PYTHON)); install one, or name it: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3" >&2; \
		fi; \
		exit 1; \
	fi; \
	printf '%s\n' "$$here" >$@

FORCE:
