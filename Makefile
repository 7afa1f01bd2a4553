# Two commands matter: `make book` builds the course, `make test` checks everything.
# Both set up what is missing first and take seconds where nothing has changed.

PYTHON ?= python3
BIN := .venv/bin
SET_UP := .venv/.set-up
ASSETS := book/_assets/vendor/.complete

# The environment's own packages and kernels only, whatever the machine has in its home folders.
export PYTHONNOUSERSITE := 1
export JUPYTER_PREFER_ENV_PATH := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Keep compiled code, whatever the machine's setting: a gate starts some hundred processes that import labkit.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help book pdf epub test coverage check lab data bench exercises readme format constraints clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

book: $(SET_UP) $(ASSETS) ## build the book, warnings as errors, and print where it is
	@python -m tools.website.build_book

pdf: book ## print the book as one PDF, with contents and an outline
	@python -m tools.website.print_book

epub: book ## bind the book as one EPUB, for a reader or a phone
	@python -m tools.website.bind_epub

test: $(SET_UP) $(ASSETS) ## check everything: lint, tests, notebooks, exercises, book, links, browser
	@python -m tools.check

coverage: $(SET_UP) $(ASSETS) ## measure which lines and branches of labkit the tests run, and name those that none runs
	@python -m tools.measure_coverage

check: $(SET_UP) ## the quick part of it: lint, types, spelling, stripped notebooks, quick tests
	@python -m tools.check --quick

lab: $(SET_UP) ## open JupyterLab on the exercises, the chapters beside them; without nbgrader's menus for instructors
	@JUPYTER_CONFIG_PATH=$(CURDIR)/tools/jupyter jupyter lab --LabApp.default_url=/lab/tree/exercises

data: $(SET_UP) ## fetch MNIST and CIFAR-10 into the cache
	@labkit data

bench: $(SET_UP) $(ASSETS) ## run every benchmark, one after the other, and print their tables
	@python -m tools.run_benchmarks

exercises: $(SET_UP) ## write exercises/ anew from solutions/
	@python -m tools.release_exercises

readme: $(SET_UP) ## write the README's tables anew from the cards and results
	@python -m tools.readme

format: $(SET_UP) ## format the code, sort imports, strip the notebooks of outputs
	@python -m tools.format_code

constraints: $(SET_UP) ## write the versions that .venv holds to constraints.txt and environment.yml
	@python -m tools.environment.pin_versions

clean: ## remove what was built (the environment, the data and the JavaScript stay)
	@rm -rf _build .pytest_cache .ruff_cache .hypothesis
	@find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(SET_UP): pyproject.toml constraints.txt tools/environment/set_up.py
	@command -v $(PYTHON) >/dev/null || { echo "set-up: there is no $(PYTHON) here; install Python 3.11 or later, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) tools/environment/set_up.py $@

$(ASSETS): tools/website/fetch_assets.py | $(SET_UP)
	@python -m tools.website.fetch_assets
