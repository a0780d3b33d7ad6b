#!/usr/bin/env bash
# Usage: local-test/upgrade.sh FROM [--keep FILE]…
#
# Replaces the machinery of this directory by that of a newer kit. `make upgrade FROM=…` is the same.
#
#   FROM          the directory of a newer kit, or the URL of its git repository
#   --keep FILE   leave this file as it is here, though it was changed; may be repeated
#
# Your files stay as they are: model.pkl and all model.*, predictor.py and what you have put beside it, requirements.txt
# and its lock, payload.csv. If you have changed a file of the machinery, its difference from the new one is shown and
# nothing is replaced. Your changed README.md stays, and a changed notebook gets the new one beside it.
#
# Exit codes: 0 upgraded or nothing to do, 1 refused, 2 wrong usage, 130 Ctrl-C. Run again what was interrupted.
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

main() {
  local from="${1:-}"
  case "$from" in
    -h | --help) usage && exit 0 ;;
    "" | -*) usage_error "say where the newer kit is: a directory, or the URL of a git repository" ;;
  esac
  shift
  PYTHON="$(find_python)" || exit 1
  if [ ! -d "$from" ]; then
    make_scratch
    say "fetching $from"
    attend "$SCRATCH/log" "fetching" git clone --quiet --depth 1 "$from" "$SCRATCH/kit" || {
      tail -n 3 "$SCRATCH/log" >&2
      fail "$from is neither a directory nor a git repository that can be fetched"
    }
    from="$SCRATCH/kit"
  fi
  "$PYTHON" -P "$HERE/upgrade.py" "$KIT" "$from" "$@"
}

main "$@" && exit # this file may be another by now
