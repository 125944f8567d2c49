# `make help` lists what can be made. Every target brings its own set-up (tools/setup).
.DEFAULT_GOAL := help
.PHONY: help run test test-hw fuzz check fmt lint monitor bench screenshots clean setup-run setup-test setup-hardware setup-benchmark
BIN := .venv/bin

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup-run ## run several real programs, then host config.example.toml: in the terminal interface, where there is a terminal
	@$(BIN)/python tools/demo.py

test: setup-test lint ## run every test; those that need KVM are skipped without it (KWHOST_MUST=kvm: they fail)
	tools/run-tests $(BIN)/python -n 2
	plugins-contrib/run-tests

test-hw: setup-hardware ## run the named subset of the tests on hardware-style KVM, emulated
	$(BIN)/python -m tests.engine.workshop # a compiler is slow in there
	KWHOST_MUST=kvm,net,quota tests/hw/run.sh --timeout 1800 -- $(BIN)/python -m pytest -m hw --timeout 300 -p no:cacheprovider
	plugins-contrib/prepare kwhost-net-wireguard # this machine's own kernel may have no WireGuard
	cd plugins-contrib/kwhost-net-wireguard && KWHOST_MUST=wireguard ../../tests/hw/run.sh --timeout 300 -- \
		../../build/plugins-contrib/kwhost-net-wireguard/bin/python -m pytest -m hw -p no:cacheprovider

fuzz: setup-test ## fuzz the call decoder and the policy table, both for a minute
	tools/fuzz

check: setup-test lint ## what to run before each commit: formats, types, layers, tests of units and of the engine
	$(BIN)/python -m pytest -q -n auto tests/unit tests/arch
	$(BIN)/python -m pytest -q -n auto -m "not slow" tests/engine

lint: setup-test
	KWHOST_STRICT=1 tools/build-native
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	$(BIN)/python tools/clang_format.py --check

fmt: setup-test ## format Python and C
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/python tools/clang_format.py

monitor: setup-run ## rebuild the native parts after a change (a second call costs nothing)

bench: setup-benchmark ## measure, beside crun, runsc and bubblewrap where they are installed
	$(BIN)/python -m benchmarks

screenshots: setup-test ## draw the terminal interface anew for the documents, from real instances (root, KVM)
	$(BIN)/python -m tests.tui.screenshots docs

clean: ## remove the virtual environment and everything built
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis

setup-run setup-test setup-hardware setup-benchmark:
	@tools/setup $(@:setup-%=%)
