# One-line commands. `make help` lists them. Everything happens in the virtual environment .venv.

VENV ?= .venv
PYTHON ?= $(shell python3.11 -c "" 2>/dev/null && echo python3.11 || echo python3)
STAMP := $(VENV)/.installed
PEERS ?= .venv-peers
SNAKEMAKE := snakemake --nolock --rerun-incomplete --quiet rules progress

export PATH := $(abspath $(VENV))/bin:$(PATH)
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help book test lint results peers clean

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 16

$(STAMP): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[signatures,multimodal,genotypes,expression,book,dev]'
	@touch $@

book: $(STAMP)  ## execute the notebooks and build the site
	@$(SNAKEMAKE) --cores 2 site
	@echo "The book is built. Open $(CURDIR)/build/site/_build/html/index.html"

test: lint  ## check style and types, then run all tests, notebooks included
	@python -m pytest -n 2 --dist loadfile

lint: $(STAMP)  ## check style, format and types
	@ruff check --quiet
	@ruff format --check --quiet
	@mypy --no-error-summary

results: $(STAMP)  ## full runs on the real data, into data/results (needs the data)
	@$(SNAKEMAKE) --cores 1 results

$(PEERS)/.installed: benchmarks/peers/requirements.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

peers: $(STAMP) $(PEERS)/.installed  ## run SigProfilerExtractor on the same data, into data/results (hours; needs the data)
	@python benchmarks/peers/run.py --python $(PEERS)/bin/python -o data/results/signatures/peers

clean:  ## remove everything that was built; the environment stays
	rm -rf build dist .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis
