# `make help` lists the targets. Scripts do most of the work.
.DEFAULT_GOAL := help
TESTS = .venv-test/bin
LINTERS = .venv-check/bin
SHARED = -n 2 --dist loadfile
ROOMS = $(wildcard $(patsubst model/serving/%/,tests/%,$(wildcard model/serving/*/)) tests/loadtest tests/test_*.py)
SCRIPTS = build_and_push.sh push/*.sh local-test/*.sh .ci/run .ci/prepare

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

serve: ## serve predictions on http://127.0.0.1:8080
	@./local-test/serve-local.sh

predict: ## send local-test/payload.csv to the server
	@./local-test/predict.sh

test: .venv-test ## run all tests; those that need Docker, nginx or Chromium are skipped if it is missing
	@$(TESTS)/python -m pytest $(SHARED) $(ARGS)

quick: .venv-quick ## run the tests that need no server and no Docker, in a minute
	@.venv-quick/bin/python -m pytest -n 2 --dist worksteal -m "not slow" $(ROOMS) $(ARGS)

fuzz: .venv-test ## hostile bodies and trees for the C code (under the sanitizers) and the decoders, ten minutes
	@$(TESTS)/python tests/compiler/fuzz_native.py --seconds 300 $(ARGS)
	@$(TESTS)/python tests/formats/fuzz_decoders.py --seconds 300 $(ARGS)
	@HYPOTHESIS_DRAWS=3000 $(TESTS)/python -m pytest -q tests/rows/test_model_answers.py

versions: .venv-test ## run the compiler's tests with the minor version before of each library it proves against
	@$(TESTS)/python tests/compiler/versions.py $(ARGS)

check: .venv-check ## check formatting, types, shell scripts and the Dockerfile
	@$(LINTERS)/ruff check . && $(LINTERS)/ruff format --check .
	@$(LINTERS)/python -m mypy
	@$(LINTERS)/shellcheck -x $(SCRIPTS) && $(LINTERS)/shfmt -i 2 -ci -d $(SCRIPTS)
	@$(LINTERS)/hadolint --ignore DL3008 --ignore DL3059 Dockerfile

image: ## build the image that serve-local.sh runs
	@bash -c '. local-test/lib.sh && docker build --tag "$$LOCAL_IMAGE" .' make

model: .venv ## train the committed example model again
	@.venv/bin/python examples/train_model.py

lock: ## pin every package of the requirements files, with hashes; run it after a change of requirements.txt
	@./local-test/lock.sh

pin: ## pin the base image of the Dockerfile by its digest; run it again to take a newer one
	@./local-test/pin.sh

upgrade: ## replace the machinery by that of a newer kit: make upgrade FROM=directory-or-url
	@./local-test/upgrade.sh "$(FROM)" $(ARGS)

release: ## note the hashes of this version's files, by which a later version knows what was changed
	@python3 -P local-test/upgrade.py . --release

lock-tests: ## pin what the kit's own tests, linters and notebook need
	@./local-test/lock.sh --tests

load: ## say what one CPU carries, and write a report; ARGS="--p99 20 --payload rows.csv"
	@./local-test/load-test.sh $(ARGS)

prices: ## fetch the prices of a region from AWS's Price List, for the report: make prices REGION=eu-west-1
	@bash -c '. local-test/lib.sh && PYTHON="$$(find_python)" && PYTHONPATH="$$KIT" exec "$$PYTHON" -P -m loadtest.prices "$$@"' make $(REGION)

faults: .venv-test ## break everything that can break, under load; prints the table of docs/reliability.md
	@rm -f .venv-test/faults
	@FAULTS_TABLE=.venv-test/faults $(TESTS)/python -m pytest -q tests/served/test_faults.py tests/served/more_faults.py $(ARGS); \
		status=$$?; cat .venv-test/faults; exit $$status

bench-quick: ## load this kit and the classic design, in two minutes; needs wrk and nginx
	@python3 benchmarks/run.py --quick $(ARGS)

bench: ## load all servers with all models, in 22 minutes; run it once with ARGS=--prepare before
	@python3 benchmarks/run.py $(ARGS)

# Up to date or made anew; nothing else is done.
.venv:
	@./local-test/environment-for.sh .venv --model

.venv-check:
	@./local-test/environment-for.sh .venv-check tests/requirements-check.lock

.venv-quick:
	@./local-test/environment-for.sh .venv-quick --model tests/requirements-quick.lock

.venv-test:
	@./local-test/environment-for.sh .venv-test --model tests/requirements.lock

.PHONY: help serve predict test quick fuzz versions check image model lock pin upgrade release lock-tests load prices faults bench-quick bench .venv .venv-check .venv-quick .venv-test
