# Everything this project does is one of these commands. Each does its own set-up.
# What they run is written in Python, in house/ and lab/; this file only names it.

ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
PYTHON ?= python3.11
PODS ?= 2
TOP_DB ?= mariadb
AREA ?= compute
REGEX ?=

# A uv of our own comes last, so that the machine's wins.
export PATH := $(PATH):$(ROOT)/.venv-tools/bin
export TOP_DB

IN_ROOT := cd "$(ROOT)" &&
HOUSE := $(IN_ROOT) $(PYTHON) -m house
LAB := $(IN_ROOT) $(PYTHON) -m lab
VENV_PYTHON := $(IN_ROOT) .venv/bin/python

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv check test test-faults tempest demo lab-up lab-status lab-down bench lock coverage-page option-page clean python

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' "$(ROOT)/Makefile" | sed -E 's/:.*## /\t/' \
	| while IFS="$$(printf '\t')" read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

python:
	@command -v "$(PYTHON)" >/dev/null || { \
	echo "$(PYTHON) is not on this machine: install it (Debian 12: apt-get install python3.11" \
	"python3.11-venv), or name another Python 3.11 with make PYTHON=..." >&2; exit 1; }

venv: python ## make .venv from the lock, or bring it up to date
	@$(HOUSE) venv

check: python ## format, lint, types, layers, release notes and fast tests: about three minutes
	@$(HOUSE) check

test: python ## everything, set-up included: checks, databases, and the tests in a real lab
	@$(HOUSE) test --pods $(PODS)

test-faults: python ## the long fault runs: jobs and creations while anything dies
	@$(HOUSE) test-faults

tempest: venv ## tempest's API tests straight at a pod and through the top (AREA=compute|volume REGEX=...)
	@$(LAB) up --pods $(PODS)
	@$(LAB) tempest $(AREA) --regex '$(REGEX)'

demo: venv ## start the lab and show one cloud made of two: the place to begin
	@$(LAB) demo --pods $(PODS)

lab-up: venv ## start the lab, or what is missing of it (PODS=2 TOP_DB=mariadb|postgresql|sqlite)
	@$(LAB) up --pods $(PODS)

lab-status: python ## show every process of the lab; fails unless all are well
	@$(LAB) status

lab-down: python ## end every process of the lab and remove its data
	@$(LAB) down

bench: venv ## measure the gateway beside nginx, HAProxy and the bare pod
	@$(HOUSE) machine bench
	@$(VENV_PYTHON) -m bench

lock: python ## resolve requirements/*.txt from pyproject.toml again (UPGRADE=1: newest versions)
	@$(HOUSE) lock $(if $(UPGRADE),--upgrade)

coverage-page: venv ## write docs/reference/api-coverage.md from the API tables
	@$(VENV_PYTHON) -m tricircle.wiring.coverage docs/reference/api-coverage.md

option-page: venv ## write docs/reference/configuration.md and etc/tricircle.conf.sample from the options
	@$(VENV_PYTHON) -m tricircle.adapters.option_page docs/reference/configuration.md
	@$(IN_ROOT) .venv/bin/oslo-config-generator --config-file etc/oslo-config-generator.conf

clean: python ## remove .venv, caches and built files; the lab and what it prepared stay
	@$(HOUSE) clean
