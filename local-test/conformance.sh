#!/usr/bin/env bash
# Usage: local-test/conformance.sh [IMAGE] [OPTION…]
#
# Checks an image against SageMaker's container contract. It uses the image as SageMaker does: by `docker run` and HTTP.
# It ends with a table: each clause, whether it passes, fails or is not offered, and what to do about a fail. IMAGE may
# be any SageMaker image. Without IMAGE, the image of this directory is built and checked.
#
#   --program model                      check the programs in model/ without Docker
#   --url http://127.0.0.1:8080          check a running server; clauses that need a start or a stop are left out
#   --payload FILE --content-type TYPE   a request that the model answers; default: local-test/payload.csv, text/csv
#   --model DIR                          serve this model directory; default: what the image's own `train` makes
#   --multi-model DIR                    load this directory where several models are served; --program needs it for that
#   --input DIR                          /opt/ml/input for `train`; default: local-test/test-dir/input
#   --env NAME=VALUE                     set a variable in the container; may be repeated
#   --heavy                              also check what takes long: a body of 100 MB, a quarter of a CPU
#   --report-html FILE  --report-md FILE  --report-json FILE  --junitxml FILE      also write the table to a file
#
# Other options go to pytest (-k ping, -x, …).
# Exit codes: 0 no clause fails, 1 some clauses fail, 2 wrong usage or nothing to check.
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

# The suite needs pytest alone; where `make test` has made its environment, that one is taken.
find_pytest() {
  PYTEST_PYTHON="$KIT/.venv-test/bin/python"
  if [ -f "$KIT/.venv-test/installed" ] && "$PYTEST_PYTHON" -c 'import pytest' 2>/dev/null; then return; fi
  make_environment .venv-conformance "$KIT/tests/conformance/requirements.lock"
  PYTEST_PYTHON="$VENV/bin/python"
}

# Sets TARGET to the image to check, unless an option names an address or a program, which needs the model's packages.
choose_target() {
  local image="$1" argument
  shift
  TARGET=()
  for argument in "$@"; do
    case "$argument" in
      --program*)
        make_environment .venv --model
        TARGET=(--python "$VENV/bin/python")
        return
        ;;
      --url* | --image*) return ;;
    esac
  done
  engine_answers ||
    fail "$ENGINE_SAYS. $ENGINE_REMEDY Or check without: $0 --program model, $0 --url http://127.0.0.1:8080" 2
  MODE=docker IMAGE="$image"
  choose_mode
  TARGET=(--image "$IMAGE")
}

main() {
  local image=""
  case "${1:-}" in
    -h | --help) usage && exit 0 ;;
    "" | -*) ;;
    *) image="$1" && shift ;;
  esac
  choose_target "$image" "$@"
  find_pytest
  END_SIGNAL=INT # pytest then ends the servers that it has started
  attend "" "checking" "$PYTEST_PYTHON" -m pytest --quiet --tb=no --no-summary -p no:cacheprovider --confcutdir "$KIT/tests/conformance" \
    "$KIT/tests/conformance" ${TARGET[@]+"${TARGET[@]}"} "$@" # an empty array is unset to bash 3.2
}

main "$@"
