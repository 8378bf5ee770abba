# Targets for people. Everything runs in .venv, made here from the locks in requirements/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
SEEDS ?= 1000
SEED ?= 1
MINUTES ?= 60
JOBS ?= 2
POSTS ?= 82
VALIDATORS ?= 7
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
SERVICES := $(shell grep -l '^service' protos/*.proto)

unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME
.PHONY: help demo test check format bench soak faults engine testnet protos lock clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    headquarters and three missions on this machine, from founding to audit"
	@echo "make test    the checks and all tests"
	@echo "make check   format, lint, types, layers"
	@echo "make bench   each operation against its bare primitives"
	@echo "make soak    the simulator, SEEDS=$(SEEDS) seeds, deep property tests, and MINUTES=$(MINUTES) of faults"
	@echo "make faults  MINUTES=$(MINUTES) of faults on a network of real processes, drawn from SEED=$(SEED)"
	@echo "make engine  build the consensus engine for networks of several validators (engine/bin/cometbft)"
	@echo "make testnet POSTS=$(POSTS) posts, VALIDATORS=$(VALIDATORS) of them validators: headquarters' circular to all, measured"
	@echo "make protos  regenerate protos/*_pb2*; make lock: new locks; make format; make clean"

demo: $(RUN)
	@$(BIN)/dutabarta demo

test: check
	@echo "== tests ($(JOBS) at a time)"
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

check: $(DEV)
	@echo "== ruff: format and lint"
	@$(BIN)/ruff format --check --quiet . > $(VENV)/format.log 2>&1 || { grep -e '-->' $(VENV)/format.log; echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@echo "== mypy --strict"
	@$(BIN)/mypy --no-error-summary
	@echo "== layers (import-linter)"
	@PYTHONPATH=. $(BIN)/lint-imports --no-cache > $(VENV)/layers.log 2>&1 || { cat $(VENV)/layers.log; exit 1; }

format: $(DEV)
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

bench: $(DEV)
	@$(MAKE) --no-print-directory engine || echo "without the consensus engine: what needs it is not measured"
	@if command -v npm > /dev/null; then npm ci --silent --prefix benchmarks/libsignal; \
	  else echo "without Node.js: libsignal is not measured"; fi
	@$(BIN)/python -m benchmarks

soak: $(DEV)
	@echo "== simulator: $(SEEDS) seeds, and 30 days of 82 posts; property tests: 2,000 examples each"
	@DUTABARTA_SIM_SEEDS=$(SEEDS) DUTABARTA_SIM_DAYS=30 HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup
	@$(MAKE) --no-print-directory faults

faults: $(DEV) engine/bin/cometbft
	@$(BIN)/python -m tests.faults --seed $(SEED) --minutes $(MINUTES)

engine: engine/bin/cometbft

engine/bin/cometbft: engine/go.mod engine/go.sum engine/build.sh | $(DEV)
	@sh engine/build.sh $(CURDIR)/$(BIN)
	@touch $@

testnet: $(DEV) engine/bin/cometbft
	@$(BIN)/python -m benchmarks.circular --posts $(POSTS) --validators $(VALIDATORS)

protos: $(DEV)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I. --python_out=. --mypy_out=quiet:. protos/*.proto
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I. --grpc_python_out=. --mypy_grpc_out=quiet:. $(SERVICES)
	@echo "protos/*_pb2* are current"

lock: $(DEV)
	@for name in run postgresql token dev; do echo "== requirements/$$name.lock"; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate --upgrade requirements/$$name.in -o requirements/$$name.lock || exit 1; done

clean:
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): requirements/run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "== setting up .venv (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "== installing what the product runs on, by hash (requirements/run.lock)"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/run.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q protos keys ledger crypto_msg node terminal testnet cli
	@touch $@

$(DEV): $(RUN) requirements/dev.lock
	@echo "== installing what tests and checks need, by hash (requirements/dev.lock)"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/dev.lock
	@touch $@
