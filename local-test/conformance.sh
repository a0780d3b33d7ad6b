#!/usr/bin/env bash
# Usage: local-test/conformance.sh [IMAGE] [pytest options]
#
# Checks an image against the SageMaker container contract: over HTTP and `docker run`, as SageMaker uses it. At the
# end comes a table: clause, pass / fail / not offered, and what to do about each fail. IMAGE is any SageMaker image;
# without one the kit's own is built. Without Docker: --program model (our programs, natively), or
# --url http://127.0.0.1:8080 (a server that runs; only what needs no start and stop).
#
#   --payload FILE --content-type TYPE   a request that the model answers (default: local-test/payload.csv, text/csv)
#   --model DIR     serve from this model directory (default: what the image's own `train` makes)
#   --input DIR     what `train` finds in /opt/ml/input (default: local-test/test-dir/input)
#   --env NAME=VALUE                     give the container a variable; may be repeated
#   --heavy         also the clauses that take long: 100 MB, a quarter of a CPU
#   --report-html FILE, --report-md FILE, --report-json FILE, --junitxml FILE     write the table
#
# It ends with 0 when no clause fails, 1 when one does, 2 on wrong usage.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  sed -n '2,/^set -euo/ { /^set -euo/d; s/^# \{0,1\}//; p; }' "${BASH_SOURCE[0]}"
}

# The environment of the tests: pytest is all that the suite needs.
environment() {
  if [ ! -x .venv/bin/pytest ]; then
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check pytest
  fi
}

main() {
  local target=()
  case "${1:-}" in
    -h | --help)
      usage
      return 0
      ;;
    -*) ;;
    "") ;;
    *)
      target=(--image "$1")
      shift
      ;;
  esac
  case " $* " in
    *" --program"* | *" --url"* | *" --image"*) ;;
    *)
      if [ "${#target[@]}" -eq 0 ]; then
        docker info >/dev/null 2>&1 || {
          echo "conformance: no Docker engine answers. Start it, or check our programs without one: $0 --program model" >&2
          return 2
        }
        docker build --quiet --tag model-kit-local . >/dev/null
        target=(--image model-kit-local)
      fi
      ;;
  esac
  environment
  exec .venv/bin/python -m pytest --quiet --tb=no --no-summary --confcutdir tests/conformance tests/conformance \
    ${target[@]+"${target[@]}"} "$@"
}

main "$@"
