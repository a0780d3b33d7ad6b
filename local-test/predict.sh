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
set -euo pipefail
# shellcheck source=local-test/lib.sh
. "$(dirname "$0")/lib.sh"

PORT="${PORT:-8080}"

content_type_of() {
  case "$1" in
    *.json) echo application/json ;;
    *.jsonl | *.ndjson) echo application/jsonlines ;;
    *.npy) echo application/x-npy ;;
    *.npz) echo application/x-npz ;;
    *.parquet) echo application/x-parquet ;;
    *.txt) echo text/plain ;;
    *) echo text/csv ;;
  esac
}

main() {
  case "${1:-}" in
    -h | --help) usage && exit 0 ;;
    -*) usage_error "unknown option $1" ;;
  esac
  [ $# -le 2 ] || usage_error "at most a payload and a content type"
  local payload="${1:-$HERE/payload.csv}" url="http://127.0.0.1:$PORT/invocations" status
  [ -f "$payload" ] || fail "there is no file $payload" 2
  ANSWER="$(mktemp)"
  trap 'rm -f "$ANSWER"' EXIT
  status="$(curl --silent --show-error --max-time 3600 --output "$ANSWER" --write-out '%{http_code}' \
    --header "Content-Type: ${2:-$(content_type_of "$payload")}" ${ACCEPT:+--header "Accept: $ACCEPT"} \
    --header 'Expect:' --data-binary "@$payload" "$url")" ||
    fail "nothing answers on $url. Start it in another terminal: ./local-test/serve-local.sh"
  cat "$ANSWER"
  case "$status" in
    2??) ;;
    *) printf '\n' && fail "the server answered $status" ;;
  esac
}

main "$@"
