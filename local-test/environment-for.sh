#!/usr/bin/env bash
# Usage: local-test/environment-for.sh NAME [--model] [LOCK…]
#
# Makes the Python environment NAME in this directory, unless it is there and up to date. `make` calls this.
#
#   --model   with the model's own packages
#   LOCK…     with the packages that these files list
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

main() {
  case "${1:-}" in
    -h | --help) usage && exit 0 ;;
    .venv*) ;;
    *) usage_error "the name of the environment is missing: .venv-…" ;;
  esac
  make_environment "$@"
}

main "$@"
