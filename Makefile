# Everything a user or developer does, by name. `make setup` is what the others begin with.
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install -q --disable-pip-version-check -c constraints.txt

.PHONY: setup setup-dev serve test lint type protos protos-check bench simulate bundle parity train clean chaos chaos-long live-long live-soak guards audit
.PHONY: setup-bench bench-peers check-kserve performance consistency accuracy
.PHONY: stages soak measure frontends
.PHONY: engine engine-check gpu-check
.PHONY: setup-web web picture

setup: $(VENV)/.server
setup-dev: $(VENV)/.dev
setup-bench: $(VENV)/.bench

$(VENV)/.server: pyproject.toml constraints.txt
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hanjaserve needs Python 3.11 or newer")'
	test -x $(PY) || python3 -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) -e '.[bench]'
	touch $@

$(VENV)/.dev: $(VENV)/.server
	$(PIP) torch
	$(PIP) -e '.[build,bulk,dev,otel]'
	touch $@

# What the TypeScript client is built and tested with; users need none of it, but Node's npm.
# No scripts of dependencies: npm before 11.19 does not know the list of those that may run.
setup-web: clients/typescript/node_modules/.installed

clients/typescript/node_modules/.installed: clients/typescript/package-lock.json
	cd clients/typescript && npm ci --silent --ignore-scripts
	touch $@

serve: setup
	$(VENV)/bin/hanjaserve serve

web: setup-dev setup-web
	cd clients/typescript && npm run --silent build

# The picture of the page in the README; needs Chromium and a font with Hanja.
picture: setup-dev
	$(PY) -m tests.web.picture docs/web.png

test: setup-dev
	$(PY) -m pytest

# The fault table against real servers. The long form takes hours and leaves its figures in chaos.jsonl.
chaos: setup-dev
	$(PY) -m pytest tests/chaos

chaos-long: setup-dev
	rm -f chaos.jsonl
	CHAOS=long CHAOS_REPORT=chaos.jsonl $(PY) -m pytest tests/chaos --timeout 36000

# The long forms of the tests of live text: some ten minutes. Their figures are in live.jsonl then.
live-long: setup-dev
	rm -f live.jsonl
	LIVE=long LIVE_REPORT=live.jsonl $(PY) -m pytest tests/server/live/test_state_machine.py tests/web/test_typing.py

# People who type at once: a hundred, a hundred and fifty, and two thousand who think: 60 % of full batches here.
live-soak: setup-bench
	rm -f benchmarks/results/live.json
	$(PY) -m benchmarks.live --sessions 100 --seconds 25 --out benchmarks/results/live.json
	$(PY) -m benchmarks.live --sessions 150 --seconds 25 --out benchmarks/results/live.json
	$(PY) -m benchmarks.live --sessions 2000 --seconds 90 --thinking-s 160 --out benchmarks/results/live.json

# Breaks every guard of the fault table in a copy, one at a time, and sees its test fail.
guards: setup-dev
	$(PY) -m tests.chaos.guards

# Needs the network: compares the pinned versions with the known vulnerabilities.
audit: setup-dev
	$(PIP) pip-audit
	$(VENV)/bin/pip-audit --disable-pip --no-deps -r constraints.txt

lint: setup-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports

type: setup-dev
	$(VENV)/bin/mypy protos server build_engine clients models

protos: setup-dev
	$(PY) protos/generate.py

protos-check: setup-dev
	$(PY) protos/generate.py --check

bench: setup-bench
	$(PY) -m benchmarks.bench

bench-peers: setup-bench
	$(PY) -m benchmarks.peers.run
	$(PY) -m benchmarks.peers.perf
	$(PY) -m benchmarks.peers.huggingface

# NVIDIA's own client on the KServe v2 endpoint.
check-kserve: setup-bench
	$(PY) -m benchmarks.peers.kserve

simulate: setup-dev
	$(PY) -m benchmarks.simulator

soak: setup-bench
	$(PY) -m benchmarks.soak

stages: setup-bench
	$(PY) -m benchmarks.stages
	$(PY) -m benchmarks.flame

frontends: setup-bench
	$(PY) -m benchmarks.frontends

measure: bench stages frontends bench-peers soak
	$(PY) -m benchmarks.simulator --out benchmarks/results/simulator.json
	$(PY) -m benchmarks.performance

performance: setup-bench
	$(PY) -m benchmarks.performance

train: setup-dev
	$(VENV)/bin/hanjaserve train --out checkpoints/default

bundle: setup-dev
	$(VENV)/bin/hanjaserve build bundle --checkpoint checkpoints/default --out models/hanjaserve/models/default --name hanjaserve-small

# On 10,000 sentences of the data folder, or on the project's own few; CHECKPOINT= compares with PyTorch too.
parity: setup-dev
	if [ -d "$${HANJASERVE_DATA:-../shared/data}" ]; then $(PY) -m benchmarks.consistency --write $(VENV)/sentences.txt; fi
	$(VENV)/bin/hanjaserve build parity $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT)) \
		$$(test ! -f $(VENV)/sentences.txt || echo --data $(VENV)/sentences.txt)

consistency: setup-dev
	$(PY) -m benchmarks.consistency

accuracy: setup-dev
	$(PY) -m benchmarks.accuracy
	$(PY) -m benchmarks.accuracy.golden

engine: setup
	$(VENV)/bin/hanjaserve build compile

engine-check: setup-dev
	$(VENV)/bin/hanjaserve build check-engine

gpu-check: setup-dev
	$(PY) -m benchmarks.gpu

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
