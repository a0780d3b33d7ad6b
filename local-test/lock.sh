#!/usr/bin/env bash
# Usage: local-test/lock.sh [--tests]
#
# Pins every package that model/ needs, with hashes, in model/requirements.lock. uv does it, which is fetched into
# .venv-uv if it is not installed. `make lock` is the same. If it fails, the old lock stays.
#
#   --tests   pin what the tests, the linters, the notebook and the installer need instead; a model needs none of it
#
# Exit codes: 0 pinned, 1 the packages cannot be had or do not go together, 2 wrong usage, 130 Ctrl-C.
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

main() {
  case "${1:-}" in
    -h | --help) usage && exit 0 ;;
    "" | --tests) ;;
    *) usage_error "unknown option $1" ;;
  esac
  PYTHON="$(find_python)" || exit 1
  find_uv
  if [ -z "$UV" ]; then
    make_environment .venv-uv "$KIT/model/serving/installer.lock"
    UV="$VENV/bin/uv"
  fi
  say "pinning packages"
  if [ "${1:-}" = --tests ]; then pin_tests; else pin_model; fi
}

pin_model() {
  LEFTOVERS+=("$KIT/model/requirements.lock.new")
  attend "" "pinning" "$PYTHON" -P "$KIT/model/serving/install.py" --uv "$UV" --make-lock
  say "model/requirements.lock pins $(grep -c '==' "$KIT/model/requirements.lock") packages"
}

# What a model's lock pins stays as it is there, save for what boto3 wants older.
pin_tests() {
  local name
  make_scratch
  sed -n 's/ \\$//p' "$KIT/model/requirements.lock" | grep '==' | grep -v ^python-dateutil >"$SCRATCH/constraints"
  for name in model/serving/installer tests/conformance/requirements tests/requirements-check tests/requirements-quick \
    deploy/requirements tests/requirements; do
    attend "" "pinning $name" "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
      --no-annotate --constraint "$SCRATCH/constraints" --output-file "$SCRATCH/lock" "$KIT/$name.txt"
    mv "$SCRATCH/lock" "$KIT/$name.lock"
    sed -n 's/ \\$//p' "$KIT/$name.lock" | grep '==' >>"$SCRATCH/constraints"
  done
}

main "$@"
