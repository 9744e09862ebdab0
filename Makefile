# Targets for people and for CI. `make` alone lists them.
# Needs Python 3.11 or later; test and demo also Java 17 or later and Maven; test also Chromium,
# check also Go, and Prometheus or a Debian or Ubuntu whose package of it can be fetched.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CACHE ?= $(or $(PROCESSOR_CACHE),.cache)
BIN := .venv/bin
LOCKS := tests/requirements.txt deploy/requirements.txt
# The environment is made anew for every state of the lock files, and only then.
STAMP := .venv/installed-$(shell cat $(LOCKS) pyproject.toml | sha256sum | cut -c1-16)
COMPOSE_VERSION := v2.40.3
COMPOSE := $(CACHE)/docker-compose-$(COMPOSE_VERSION)
HELM_VERSION := v4.3.1
HELM := $(CACHE)/helm-$(HELM_VERSION)
# Whatever version there is: rules and dashboard have to work in all of them.
PROMTOOL := $(CACHE)/promtool
PROMETHEUS := $(CACHE)/prometheus
PIP_COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --strip-extras \
	--generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links \
	--no-emit-trusted-host --no-emit-options
ARGS ?=
# Of `make chaos`; `SECONDS` in a shell is something else, so only the command line counts.
SECONDS := 120
SEED := 1

.PHONY: help venv install demo test check format bench steps head-to-head chaos kills lock clean prepare browser \
	check-style check-types check-rules check-image check-compose check-monitoring check-chart

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## .venv with the locked dependencies and this package (alias: install)
install: venv

$(STAMP):
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11)' \
		|| { echo "Install Python 3.11 or later with its venv module (Debian and Ubuntu: python3-venv)."; exit 1; }
	@echo "Installing the locked dependencies into .venv."
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f .venv/installed-*
	@touch $@

prepare: $(STAMP)
	@$(BIN)/python -m processor.local

# The pages are tested in the machine's own Chromium.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium (once)."; apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "Install Chromium (Debian and Ubuntu: apt-get install chromium)."; exit 1; fi

demo: $(STAMP) ## events flow end to end, a mistake is mended and replayed; KEEP=1 leaves it running
	@$(BIN)/processor demo $(if $(KEEP),--keep) $(ARGS)

test: prepare browser ## every test, real broker and registry included; ARGS="-k word" chooses
	@$(BIN)/pytest $(ARGS)

check: check-style check-types check-rules check-image check-compose check-monitoring check-chart ## format, lint, types, house rules; image, compose file, alerts, dashboard, chart
	@echo "All checks passed."

format: $(STAMP) ## rewrite the code in the house's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

check-style: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

check-types: $(STAMP)
	$(BIN)/mypy

check-rules: $(STAMP)
	$(BIN)/pytest -q tests/test_architecture.py tests/test_lock.py tests/test_wheel.py

check-image: $(STAMP)
	$(BIN)/hadolint deploy/Dockerfile

check-compose: $(COMPOSE)
	$(COMPOSE) --profile demo --profile monitoring config --quiet
	$(COMPOSE) --profile aep --profile monitoring config --quiet
	@# Beside a given cluster nothing of ours is started but the connector.
	test "$$($(COMPOSE) --profile production config --services)" = processor

check-monitoring: $(STAMP) $(PROMTOOL) $(PROMETHEUS)
	PROMTOOL=$(abspath $(PROMTOOL)) PROMETHEUS=$(abspath $(PROMETHEUS)) \
		$(BIN)/pytest -q tests/deploy/test_promtool.py tests/deploy/test_prometheus.py tests/test_monitoring.py

check-chart: $(STAMP) $(HELM)
	HELM=$(abspath $(HELM)) $(BIN)/pytest -q tests/deploy/test_chart.py

# The programs themselves, as Go modules: they render without a Docker engine or a cluster.
$(COMPOSE):
	$(call go_program,Docker Compose $(COMPOSE_VERSION),github.com/docker/compose/v2/cmd@$(COMPOSE_VERSION))

$(HELM):
	$(call go_program,Helm $(HELM_VERSION),helm.sh/helm/v4/cmd/helm@$(HELM_VERSION))

# $(call go_program,its name,package@version): built in a folder of its own, then moved to the target.
define go_program
@command -v go >/dev/null || { echo "Install Go, which builds $(1)."; exit 1; }
@echo "Building $(1) (some minutes, once)."
@rm -rf $@.build && mkdir -p $@.build
@cd $@.build && go mod init program >build.log 2>&1 \
	&& go get $(2) >>build.log 2>&1 \
	&& go build -trimpath -ldflags="-s -w" -o program $(firstword $(subst @, ,$(2))) >>build.log 2>&1 \
	|| { tail -n 20 build.log; exit 1; }
@mv $@.build/program $@ && rm -rf $@.build
endef

# Two programs of a package that would bring a service along, so it is unpacked and not installed.
$(PROMTOOL) $(PROMETHEUS) &:
	@mkdir -p $(CACHE)
	@if command -v promtool >/dev/null && command -v prometheus >/dev/null; then \
		ln -sf "$$(command -v promtool)" $(PROMTOOL); ln -sf "$$(command -v prometheus)" $(PROMETHEUS); \
	elif command -v apt-get >/dev/null; then \
		echo "Fetching the distribution's package of Prometheus."; \
		folder=$$(mktemp -d) && cd "$$folder" && apt-get download -qq -o APT::Sandbox::User=root prometheus >/dev/null \
			&& dpkg-deb -x prometheus_*.deb . && mv usr/bin/promtool usr/bin/prometheus "$(abspath $(CACHE))" && rm -rf "$$folder" \
			|| { echo "It could not be fetched; try apt-get update, or install Prometheus."; exit 1; }; \
	else echo "Install Prometheus, which tries alerts and dashboard."; exit 1; fi

bench: prepare ## records a second, CPU and memory a record, latency; ARGS="--help" says more
	@$(BIN)/python -m tests.bench.run $(ARGS)

steps: $(STAMP) ## what a record costs step by step, and compiled mapping against reading the rows
	@$(BIN)/python -m tests.bench.mapping $(ARGS)

head-to-head: prepare ## PLUGIN=DIR: Adobe's own Kafka sink and ours, how fast and what is lost; ARGS="--help"
	@$(BIN)/python -m tests.bench.head_to_head $(if $(PLUGIN),--plugin $(PLUGIN)) $(ARGS)

chaos: prepare ## faults composed at random, then a verdict on every invariant; SECONDS=120 SEED=1
	@$(BIN)/python -m tests.rig.chaos --seconds $(SECONDS) --seed $(SEED) $(ARGS)

kills: prepare ## ARGS="--kills 200 --stops 20 --rebalances 20": at random moments, then a verdict
	@$(BIN)/python -m tests.rig.kills $(ARGS)

lock: $(STAMP) ## resolve the dependencies anew; ARGS="--upgrade" takes newer ones
	$(PIP_COMPILE) $(ARGS) --output-file=deploy/requirements.txt pyproject.toml
	$(PIP_COMPILE) $(ARGS) --extra=dev --output-file=tests/requirements.txt pyproject.toml
	$(PIP_COMPILE) $(ARGS) --only-build-deps --build-deps-for=wheel --output-file=deploy/build-requirements.txt pyproject.toml

clean: ## remove everything that make made
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
