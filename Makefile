# Run `make` to see the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LINTERS := $(VENV)/.linters
READERS := $(VENV)/.readers
SCHEMAS := $(VENV)/.schemas
FUZZER := $(VENV)/.fuzzer
LOCK := $(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
T ?= tests
SECONDS ?= 120
DURATION ?= 180
TAG ?= v$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' webhook/__init__.py)

.PHONY: help setup demo run test fuzz soak e2e bench lint format docs chart reports screenshots image krew dist workflows check-generated lock clean

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## a virtual environment in .venv with everything locked and installed

$(READY): pyproject.toml requirements/dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "endpoints-guard needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

demo: setup  ## start the real TLS webhook on the WordPress example, send it good and bad writes, stop
	$(BIN)/endpoints-guard demo

run: setup  ## the same webhook in the foreground, with a curl line to try
	$(BIN)/endpoints-guard demo --foreground

test: setup  ## unit, property and real-socket tests (T=tests/core runs a part)
	$(BIN)/python -m pytest -m 'not e2e' -n auto --ignore tests/chart --ignore tests/deploy/built --ignore tests/reports $(T)

# Apart from `test`, because the fuzzer is large (35 MB), and is built for some versions of Python only.
fuzz: $(FUZZER)  ## Hypothesis and Atheris on everything that reads bytes (SECONDS=120 for all together, ONLY="laws review")
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ONLY)

soak: setup  ## endurance: memory under load, overload, restarts; writes docs/endurance.md (DURATION=180 seconds)
	$(BIN)/python -m tests.endurance --seconds $(DURATION) --write

$(FUZZER): $(READY) requirements/fuzz.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	touch $(FUZZER)

e2e: setup  ## the same against a real etcd, kube-apiserver and kube-controller-manager
	$(BIN)/python -m tests.e2e.controlplane --build-only
	$(BIN)/python -m pytest -m e2e tests/e2e

# Apart from `test`, because it downloads Helm (35 MB for each major) and Kubernetes' schemas the first time.
chart: $(SCHEMAS)  ## the Helm chart: lint, Kubernetes' schemas, and a matrix of renderings with Helm 3 and 4
	$(BIN)/python -m pytest -n auto tests/chart

$(SCHEMAS): $(READY) requirements/chart.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/chart.txt
	touch $(SCHEMAS)

# Apart from `test`, because it needs Chromium (installed with apt-get, as root) and npm.
reports: $(READERS)  ## the HTML report in a real Chromium, SARIF and JUnit against their published schemas
	$(BIN)/python -m pytest tests/reports

screenshots: $(READERS)  ## the pictures in docs/images, of an audit after the attack of make e2e
	$(BIN)/python -m tests.reports.screenshots

$(READERS): $(READY) requirements/reports.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/reports.txt
	$(BIN)/python -m tests.reports.chromium
	touch $(READERS)

image: $(LINTERS)  ## the image: lint it, install its program as it does, run that as a stranger; build it if an engine is here
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck deploy/*.sh deploy/kubectl-endpoints_guard
	$(BIN)/python -m pytest tests/deploy
	deploy/image.sh endpoints-guard:local

krew: setup  ## the kubectl plugin for every platform, and its manifest, in dist/krew
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m deploy.krew --output dist/krew

dist: setup  ## all that a release publishes, in dist (TAG=v1.2.3 must be the version of code, chart and changelog)
	$(BIN)/python -m deploy.release --tag $(TAG) --notes dist/notes.md
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --no-isolation --outdir dist/python
	$$($(BIN)/python -m tests.chart.helm) package charts/endpoints-guard --destination dist/chart
	$(MAKE) --no-print-directory krew

workflows: $(LINTERS)  ## GitHub's workflows: actionlint, zizmor, yamllint
	$(BIN)/actionlint -shellcheck $(BIN)/shellcheck
	$(BIN)/zizmor --offline --no-progress --pedantic --quiet .github
	$(BIN)/yamllint --strict .github

$(LINTERS): $(READY) requirements/linters.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/linters.txt
	touch $(LINTERS)

# ONLY="serving syncing" measures some parts only; see `python -m tests.bench --help`.
bench: setup  ## measure beside Gatekeeper and a no-op route, write docs/benchmarks.md (QUICK=1: a smoke test)
	$(BIN)/python -m tests.bench $(if $(QUICK),--quick) $(ONLY)

lint: setup  ## ruff, mypy --strict, import-linter, and that generated documents are current
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(MAKE) --no-print-directory check-generated

docs: setup  ## write the generated documents anew
	$(BIN)/endpoints-guard rules --output markdown > docs/rules.md
	$(BIN)/python -m tests.coverage > docs/coverage.md
	$(BIN)/python -m tests.telemetry > docs/metrics.md
	$(BIN)/python -m tests.chart.documentation

check-generated: setup
	$(BIN)/endpoints-guard rules --output markdown | diff -u docs/rules.md - || { echo 'docs/rules.md is stale: run make docs'; exit 1; }
	$(BIN)/python -m tests.coverage | diff -u docs/coverage.md - || { echo 'docs/coverage.md is stale: run make docs'; exit 1; }
	$(BIN)/python -m tests.telemetry | diff -u docs/metrics.md - || { echo 'docs/metrics.md is stale: run make docs'; exit 1; }

format: setup  ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup  ## pin every dependency anew, with hashes
	$(LOCK) --output-file requirements/runtime.txt pyproject.toml
	$(LOCK) --extra dev --constraint requirements/runtime.txt --output-file requirements/dev.txt pyproject.toml
	for each in build chart fuzz linters reports; do $(LOCK) --constraint requirements/dev.txt --output-file requirements/$$each.txt requirements/$$each.in; done

clean:  ## remove what the targets above made in this folder
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz build dist *.egg-info
