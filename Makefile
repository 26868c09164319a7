# Every target does its own set-up; a second call finds it done. `make help` lists them.

SUBMISSION ?= submission
CHALLENGE ?= sample_videos/challenge.toml
ARGS ?=
PYTHON ?= python3
CORES := $(shell nproc 2>/dev/null || echo 2)
# Test processes: two for each core, since half of their time they wait for containers, servers and browsers.
# Quick unit tests wait for nothing: one for each core.
WORKERS ?= $(shell echo $$((2 * $(CORES))))

VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
STAMP := $(VENV)/.installed
TRAIN_STAMP := $(VENV)/.installed-train
DOCS_STAMP := $(VENV)/.installed-docs

# What the tests need beyond Python: a browser for the reports, PostgreSQL for the index of runs, a compiler for
# the stand-in of a GPU's driver, the ffmpeg program as a second opinion on videos, OpenSSH's server for
# files over SFTP. Root on Debian or
# Ubuntu gets it installed; elsewhere, where it is missing, those tests fail and say so.
TEST_PACKAGES = $(strip \
	$(if $(shell command -v gcc),,gcc libc6-dev) \
	$(if $(shell command -v ffmpeg),,ffmpeg) \
	$(if $(shell command -v chromium),,chromium) \
	$(if $(shell command -v chromedriver),,chromium-driver) \
	$(if $(shell command -v sshd)$(wildcard /usr/sbin/sshd),,openssh-server) \
	$(if $(shell command -v initdb)$(wildcard /usr/lib/postgresql/*/bin/initdb),,postgresql))
# Other container engines and walls, for `make test-engines`.
ENGINE_PACKAGES = $(strip \
	$(if $(shell command -v podman),,podman runc catatonit) \
	$(if $(shell command -v runsc),,runsc))
MAY_INSTALL = $(and $(filter 0,$(shell id -u)),$(shell command -v apt-get))
APT_INSTALL := DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends

.DEFAULT_GOAL := help
.PHONY: help setup run-submission check pack image doctor audit contest-demo portal test-engines test-gpu self-check test torture unit coverage lint format types docs benchmark baselines train clean clean-images

help: ## List every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  SUBMISSION=$(SUBMISSION)  CHALLENGE=$(CHALLENGE)  ARGS=$(ARGS)"

setup: $(RUN_STAMP) ## Make the virtual environment and install the harness into it, all releases pinned

run-submission: $(RUN_STAMP) ## Score SUBMISSION (folder or zip) on CHALLENGE; ARGS passes options on
	@$(BIN)/harness run "$(SUBMISSION)" --challenge "$(CHALLENGE)" $(ARGS)

check: $(RUN_STAMP) ## Find everything that would keep SUBMISSION from running, and try it on two videos
	@$(BIN)/harness check "$(SUBMISSION)" --challenge "$(CHALLENGE)" $(ARGS)

pack: $(RUN_STAMP) ## Make the zip of SUBMISSION that is handed in
	@$(BIN)/harness pack "$(SUBMISSION)" $(ARGS)

image: $(RUN_STAMP) ## Find or build the runtime image, starting a container engine where it must
	@$(BIN)/harness image $(ARGS)

doctor: $(RUN_STAMP) ## Look whether this machine is fit to run packages
	@$(BIN)/harness doctor $(ARGS)

audit: $(RUN_STAMP) ## Ask whether anything but the picture predicts the labels of CHALLENGE
	@$(BIN)/harness audit "$(CHALLENGE)" $(ARGS)

contest-demo: $(STAMP) ## Run a small made contest on two Ray nodes, one of which is killed on the way
	@$(BIN)/harness image
	@$(BIN)/python -m tests.contest_kit.demo $(ARGS)

portal: $(STAMP) ## Serve the sample challenge as a contest on port 8000, with a worker; prints two links
	@$(BIN)/harness image
	@$(BIN)/harness serve --demo $(ARGS)

test-engines: $(STAMP) ## Run the contract and hostile suites on Podman and gVisor, as far as this machine can
	@$(if $(ENGINE_PACKAGES),$(if $(MAY_INSTALL),echo "Installing: $(ENGINE_PACKAGES)" && \
		apt-get update -qq && $(APT_INSTALL) $(ENGINE_PACKAGES) >/dev/null </dev/null,:),:)
	@$(BIN)/python -m tests.engines $(ARGS)

test-gpu: $(STAMP) ## Run containers with this machine's GPU: limits, the meter, who gets it; fails without one
	@$(BIN)/python -m pytest -q -s tests/gpu/real_gpu.py $(ARGS)

self-check: $(RUN_STAMP) ## Attack this machine's sandbox with the core of the hostile suite
	@$(BIN)/harness self-check $(ARGS)

test: $(TRAIN_STAMP) ## Run the whole test suite, real containers and a real browser included
	@$(BIN)/harness image
	@$(if $(TEST_PACKAGES),$(if $(MAY_INSTALL),echo "Installing for the tests: $(TEST_PACKAGES)" && \
		apt-get update -qq && $(APT_INSTALL) $(TEST_PACKAGES) >/dev/null </dev/null,:),:)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

unit: $(STAMP) ## Run the quick unit tests: no engine, no torch, no database
	@$(BIN)/python -m pytest -n $(CORES) --dist worksteal -m "not slow" tests/unit --ignore=tests/unit/submission $(ARGS)

coverage: $(STAMP) ## Say which lines the unit tests do not reach; the pages are in htmlcov/
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/unit --ignore=tests/unit/submission \
		--cov --cov-report=term:skip-covered --cov-report=html $(ARGS)

torture: $(STAMP) ## Prepare every odd file that the torture set can make, and write its table to docs/torture.md
	@$(if $(shell command -v ffmpeg),:,$(if $(MAY_INSTALL),apt-get update -qq && $(APT_INSTALL) ffmpeg >/dev/null </dev/null,:))
	@$(BIN)/python tests/torture/run.py --write docs/torture.md $(ARGS)

lint: $(STAMP) ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP) ## Repair style and formatting
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(TRAIN_STAMP) ## Check types
	@$(BIN)/mypy

docs: $(DOCS_STAMP) ## Build the documentation site into build/site; every broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

benchmark: $(TRAIN_STAMP) ## Run every benchmark; each prints JSON with a ratio against a named baseline
	@set -e; for script in tests/benchmarks/*.py; do echo "# $$script" >&2; PYTHONPATH=submission $(BIN)/python "$$script" $(ARGS); done

baselines: $(TRAIN_STAMP) ## Score the baselines, every member and the entry on CHALLENGE, and draw the board
	@PYTHONPATH=submission $(BIN)/python -m training.baselines --challenge "$(CHALLENGE)" $(ARGS)

train: $(TRAIN_STAMP) ## Train the reference entry on the clips in CLIPS; ARGS goes to submission/training
	@PYTHONPATH=submission $(BIN)/python -m training $(if $(CLIPS),--clips $(CLIPS)) $(ARGS)

clean: ## Remove the virtual environment and what tools left; runs, images and fetched wheels stay
	rm -rf $(VENV) build dist *.egg-info htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# By name, so that what others have stays. One that a container still runs on is refused, and make says so.
clean-images: ## Remove the images that the harness has built; they are built again when they are needed
	@if command -v docker >/dev/null && docker info >/dev/null 2>&1; then \
		docker volume ls --quiet | grep '^blackbox-video-harness-packages-' | xargs --no-run-if-empty docker volume rm >/dev/null; \
		docker image ls --format '{{.Repository}}:{{.Tag}}' | grep '^blackbox-video-harness/.*[^>]$$' | \
			xargs --no-run-if-empty docker image rm --force >/dev/null; \
	fi

# The host's pip brings the environment its own, in a third of the time that venv's (ensurepip) takes; Debian splits
# that one into a package of its own. A host's pip before 22.3 cannot do it. With it comes uv, where there is a
# wheel of it for this machine: see tools/install.py.
BRING := $(PYTHON) -m pip --python $(BIN)/python install -qq --disable-pip-version-check --no-compile --only-binary=:all:
define MAKE_VENV
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$(PYTHON) is older than 3.11, or missing. Name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
@echo "Setting up $(VENV) (half a minute)."
@rm -f $(RUN_STAMP) $(STAMP) $(TRAIN_STAMP) $(DOCS_STAMP)
@{ $(PYTHON) -m venv --without-pip $(VENV) && { $(BRING) -c constraints.txt pip uv || $(BRING) pip; }; } >/dev/null 2>&1 || \
	$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || \
	{ echo "No virtual environment can be made. On Debian: apt-get install python3-venv" >&2; exit 1; }
endef
INSTALL := $(BIN)/python tools/install.py --constraints constraints.txt

# What runs entries needs half of what develops the harness does. Python compiles a module when it is first
# imported: most of these never are.
$(RUN_STAMP): pyproject.toml constraints.txt
	$(MAKE_VENV)
	@$(INSTALL) --no-compile --editable .
	@touch $@

$(STAMP): pyproject.toml constraints.txt
	$(MAKE_VENV)
	@$(INSTALL) --editable '.[dev]'
	@touch $(RUN_STAMP) $@

$(TRAIN_STAMP): $(STAMP)
	@$(INSTALL) --editable '.[dev,train]'
	@touch $@

$(DOCS_STAMP): $(STAMP)
	@$(INSTALL) --editable '.[docs]'
	@touch $@
