#!/usr/bin/env bash
# Usage: local-test/conformance.sh [IMAGE] [OPTION…]
#
# Checks an image against the SageMaker container contract, over HTTP and `docker run` as SageMaker uses it, and ends
# with a table: clause, pass / fail / not offered, and what to do about each fail. IMAGE is any SageMaker image,
# anyone's; without one the kit's own is built.
#
#   --program model                      our programs natively, without Docker
#   --url http://127.0.0.1:8080          a server that runs: only what needs no start and stop
#   --payload FILE --content-type TYPE   a request that the model answers; default: local-test/payload.csv, text/csv
#   --model DIR                          serve this model directory; default: what the image's own `train` makes
#   --multi-model DIR                    load this directory where several models are loaded; --program needs it for that
#   --input DIR                          /opt/ml/input for `train`; default: local-test/test-dir/input
#   --env NAME=VALUE                     a variable for the container; may be repeated
#   --heavy                              also what takes long: a body of 100 MB, a quarter of a CPU
#   --report-html FILE  --report-md FILE  --report-json FILE  --junitxml FILE      write the table too
#
# Other options go to pytest (-k ping, -x, …).
# Exit codes: 0 no clause fails, 1 some do, 2 wrong usage or nothing to check.
set -euo pipefail
# shellcheck source=local-test/lib.sh
. "$(dirname "$0")/lib.sh"

# The suite needs pytest alone; where `make test` has made its environment, that one is taken.
find_pytest() {
  PYTEST_PYTHON="$KIT/.venv-test/bin/python"
  [ -x "$PYTEST_PYTHON" ] && return
  PYTEST_PYTHON="$KIT/.venv-conformance/bin/python"
  "$PYTEST_PYTHON" -c 'import pytest' 2>/dev/null && return
  say "installing pytest into .venv-conformance"
  "$(find_python)" -m venv "$KIT/.venv-conformance" ||
    fail "no virtual environment could be made. On Debian or Ubuntu: apt-get install python3-venv"
  "$PYTEST_PYTHON" -m pip install --quiet --disable-pip-version-check pytest >&2 || fail "pytest could not be installed"
}

# Sets TARGET to the image to check, unless an option names an address or a program, which needs the model's packages.
choose_target() {
  local image="$1" argument
  shift
  TARGET=()
  for argument in "$@"; do
    case "$argument" in
      --program*)
        make_environment .venv
        TARGET=(--python "$VENV/bin/python")
        return
        ;;
      --url* | --image*) return ;;
    esac
  done
  engine_answers ||
    fail "no Docker engine answers. Start it, or check without: $0 --program model, $0 --url http://127.0.0.1:8080" 2
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
  exec "$PYTEST_PYTHON" -m pytest --quiet --tb=no --no-summary -p no:cacheprovider --confcutdir "$KIT/tests/conformance" \
    "$KIT/tests/conformance" ${TARGET[@]+"${TARGET[@]}"} "$@" # an empty array is unset to bash 3.2
}

main "$@"
