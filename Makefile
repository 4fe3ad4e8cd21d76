# make repro: set up and run the default study.   make test: set up and pass the tests.
# make ui, make plan: `palimpsest ui` and `palimpsest plan` without activating .venv.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro ui plan test lint setup

repro: setup
	palimpsest repro

ui: setup
	palimpsest ui

plan: setup
	palimpsest plan

test: setup
	pytest -n 2 --dist loadfile

lint: setup
	ruff check .
	ruff format --check .
	mypy

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
