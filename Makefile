# `make help` lists the targets. Scripts do most of the work.
.DEFAULT_GOAL := help
PYTHON_BIN = .venv-test/bin
COMPILE = $(PYTHON_BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
SCRIPTS = build_and_push.sh push/*.sh local-test/*.sh .ci/run .ci/prepare

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

serve: ## serve predictions on http://127.0.0.1:8080
	@./local-test/serve-local.sh

predict: ## send local-test/payload.csv to the server
	@./local-test/predict.sh

test: .venv-test/ready ## run all tests; those that need Docker or nginx are skipped if it is missing
	@$(PYTHON_BIN)/python -m pytest $(ARGS)

fuzz: .venv-test/ready ## hostile bodies and trees for the C code, under the sanitizers, for five minutes
	@$(PYTHON_BIN)/python tests/compiler/fuzz_native.py --seconds 300 $(ARGS)

check: .venv-test/ready ## check formatting, types, shell scripts and the Dockerfile
	@$(PYTHON_BIN)/ruff check . && $(PYTHON_BIN)/ruff format --check .
	@$(PYTHON_BIN)/mypy
	@$(PYTHON_BIN)/shellcheck -x $(SCRIPTS) && $(PYTHON_BIN)/shfmt -i 2 -ci -d $(SCRIPTS)
	@$(PYTHON_BIN)/hadolint --ignore DL3008 --ignore DL3059 Dockerfile

image: ## build the image that serve-local.sh runs
	@bash -c '. local-test/lib.sh && docker build --tag "$$LOCAL_IMAGE" .' make

model: .venv-test/ready ## train the committed example model again
	@$(PYTHON_BIN)/python examples/train_model.py

lock: .venv-test/ready ## pin every package of the requirements files, with hashes
	@$(COMPILE) model/requirements.txt model/serving/requirements.txt > .venv-test/lock
	@($(PYTHON_BIN)/python model/serving/install.py --stamp && cat .venv-test/lock) > model/requirements.lock
	@sed -n 's/ \\$$//p' model/requirements.lock | grep == | grep -v ^python-dateutil > .venv-test/constraints # boto3 wants an older one
	@$(COMPILE) tests/requirements.txt --constraint .venv-test/constraints > .venv-test/lock
	@cp .venv-test/lock tests/requirements.lock

bench-quick: ## load this kit and the classic design, in two minutes; needs wrk and nginx
	@python3 benchmarks/run.py --quick $(ARGS)

bench: ## load all servers with all models, in 22 minutes; run it once with ARGS=--prepare before
	@python3 benchmarks/run.py $(ARGS)

.venv-test/ready: tests/requirements.lock model/requirements.txt model/requirements.lock model/serving/requirements.txt
	@bash -c 'set -e; . local-test/lib.sh && make_environment .venv-test' make
	@$(PYTHON_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.lock
	@touch .venv-test/ready

.PHONY: help serve predict test fuzz check image model lock bench-quick bench
