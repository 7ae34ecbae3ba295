# Every command sets up what it needs first; that is quick when nothing changed.
# PYTHON=... chooses the interpreter that .venv is made with (3.11 or newer).
.DEFAULT_GOAL := help
.PHONY: help setup demo test tests seeds check sim mutants model fuzz faults bench pictures lint lock clean runtime

RUN := .venv/bin/python -m
PYTEST := $(RUN) pytest -n 2
DEMO_DIR ?= demo-data
export PYTHON

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv with everything needed to work on the project
	@deploy/setup.sh dev

runtime:
	@deploy/setup.sh runtime

demo: runtime ## show the system at work; KEEP=1 leaves it running, WALK=1 walks it again (DEMO_DIR=demo-data)
	.venv/bin/liandong demo $(if $(WALK),--walk $(DEMO_DIR),$(if $(KEEP),--keep $(DEMO_DIR)))

test: lint ## everything: lint and all tests, PostgreSQL and real processes included, and 500 seeds of the simulator
	@$(MAKE) --no-print-directory -j 2 tests seeds

tests: setup
	$(PYTEST)

# Beside the tests, which wait now and then for disks, lines and browsers; they go first.
seeds: setup
	TERM=dumb $(RUN) tests.sim --idle --seed 5000 --seeds 500 --steps 550 --jobs 2

check: lint ## lint and the fast tests, in under a minute
	$(PYTEST) -p no:schemathesis -m "not slow and not process and not postgres"

lint: setup ## style, types, and who may import whom
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	.venv/bin/lint-imports

sim: setup ## simulate many nodes under faults (ARGS="...")
	$(RUN) tests.sim $(ARGS)

mutants: setup ## put each seeded bug in and simulate until it is noticed (ARGS="--seeds 2000 --jobs 2")
	$(RUN) tests.sim.mutants $(ARGS)

faults: setup ## strike real processes (ARGS="kills --count 5000 --jobs 2")
	$(RUN) tests.fault $(ARGS)

fuzz: setup ## damaged input for every decoder (ARGS="--count 1000000 --jobs 2")
	$(RUN) tests.fuzz $(ARGS)

model: setup ## check the models of the protocol in every state, to further bounds than make test (ARGS="...")
	$(RUN) tests.model --large $(ARGS)

bench: setup ## measure; PROFILE=1 shows where the time goes
	$(RUN) benchmarks $(if $(PROFILE),--profile)

pictures: setup ## take the README's pictures anew, of a demonstration made for that
	$(RUN) tests.pictures

lock: setup ## renew the locks after a change of pyproject.toml; UPGRADE=1 takes the newest of everything
	deploy/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove what set-up and the tools made
	rm -rf .venv .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
