#!/usr/bin/env bash
# Usage: local-test/predict.sh [PAYLOAD] [CONTENT-TYPE]
#
# Sends a file to the server that serve-local.sh has started and prints the answer.
#
#   PAYLOAD        the file to send; default: local-test/payload.csv
#   CONTENT-TYPE   default: told from the file's ending (.csv .json .jsonl .npy .npz .parquet .txt), else text/csv
#
#   PORT=8081 local-test/predict.sh                   send to another port
#   ACCEPT=application/json local-test/predict.sh     ask for another type of answer
#
# Exit codes: 0 the server answered with predictions, 1 it answered with an error or not at all, 2 wrong usage.
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

main() {
  case "${1:-}" in
    -h | --help) usage && exit 0 ;;
    -*) usage_error "unknown option $1" ;;
  esac
  [ $# -le 2 ] || usage_error "at most a payload and a content type"
  read_port
  command -v curl >/dev/null 2>&1 || fail "curl is not installed, by which the rows are sent. On Debian or Ubuntu: apt-get install curl"
  local payload="${1:-$HERE/payload.csv}" url="http://127.0.0.1:$PORT/invocations" status
  [ -f "$payload" ] || fail "there is no file $payload" 2
  make_scratch
  ANSWER="$SCRATCH/answer"
  attend "" "waiting for the answer" curl --silent --show-error --max-time 3600 --output "$ANSWER" --write-out '%{http_code}' \
    --header "Content-Type: ${2:-$(content_type_of "$payload")}" ${ACCEPT:+--header "Accept: $ACCEPT"} \
    --header 'Expect:' --data-binary "@$payload" "$url" >"$SCRATCH/status" ||
    fail "nothing answers on $url. Start it in another terminal: $(with_port)./local-test/serve-local.sh"
  status="$(cat "$SCRATCH/status")"
  cat "$ANSWER"
  case "$status" in
    2??) ;;
    *) printf '\n' && fail "the server answered $status" ;;
  esac
}

main "$@"
