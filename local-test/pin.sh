#!/usr/bin/env bash
# Usage: local-test/pin.sh [--undo]
#
# Asks the registry which image the Dockerfile's base name stands for now, and writes its digest into the Dockerfile, so
# that every build starts from the very same bytes until this is run again. `make pin` is the same.
#
#   BASE=public.ecr.aws/docker/library/python local-test/pin.sh   take the base image from a mirror, here and in builds
#   --undo                                                         build from whatever the name stands for at the time
#
# Exit codes: 0 written, 1 the registry does not answer, 2 wrong usage, 130 Ctrl-C.
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

main() {
  local base version digest=""
  case "${1:-}" in
    -h | --help) usage && exit 0 ;;
    "" | --undo) ;;
    *) usage_error "unknown option $1" ;;
  esac
  base="${BASE:-$(argument BASE)}" version="$(argument PYTHON_VERSION)"
  make_scratch
  if [ "${1:-}" != --undo ]; then
    engine_answers || fail "$ENGINE_SAYS, which asks the registry. $ENGINE_REMEDY"
    say "asking for $base:$version-slim"
    if ! attend "$SCRATCH/pull" "pulling $base:$version-slim" docker pull "$base:$version-slim"; then
      tail -n 3 "$SCRATCH/pull" >&2
      fail "the registry does not give $base:$version-slim; its reason stands above. A mirror: BASE=… $0"
    fi
    digest="@$(sed -n 's/^Digest: \(sha256:[0-9a-f]\{64\}\)$/\1/p' "$SCRATCH/pull")"
    [ "$digest" != @ ] || fail "the registry has told no digest of $base:$version-slim"
  fi
  sed -e "s|^ARG BASE=.*|ARG BASE=$base|" -e "s|^ARG BASE_DIGEST=.*|ARG BASE_DIGEST=$digest|" "$KIT/Dockerfile" >"$SCRATCH/Dockerfile"
  cat "$SCRATCH/Dockerfile" >"$KIT/Dockerfile"
  say "builds start from $base:$version-slim$digest"
}

# The default of an argument of the Dockerfile.
argument() { # <name>
  sed -n "s/^ARG $1=//p" "$KIT/Dockerfile" | head -n 1
}

main "$@"
