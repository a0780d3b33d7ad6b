#!/usr/bin/env bash
# Usage: local-test/load-test.sh [--p99 MS] [--payload FILE] [--native|--docker] [more options]
#
# Says how many requests a second one CPU carries so that 99 of 100 are answered within MS milliseconds (default: 50),
# and writes a report with pictures: latency against rate, where the time goes, how many instances that is, and what
# they cost if `make prices` has fetched prices. It takes about two minutes.
#
# It loads the server that answers on the port. If there is none, it starts serve-local.sh and ends it again.
#
#   --payload FILE   what is sent, by its ending .csv .json .jsonl .npy .npz .parquet .txt; default: local-test/payload.csv
#   --native, --docker   how the server is started, if it is
#   --report FILE    where the report goes; default: local-test/test-dir/output/load-test.html
#   --rate N         the requests a second that you expect; default: the report counts for 10, 100 and 1000
#   --region NAME    whose prices, if those of several regions were fetched
#   --cpus N         how many CPUs the server has, if it has fewer than this machine
#   --seconds N      how long each rate is tried; default: 2, or ten times MS
#   --repeats N      how often; default: 3
#   --url URL        load another server than the one on 127.0.0.1, or another path: http://127.0.0.1:8080/models/a/invoke
#
#   PORT=8081 local-test/load-test.sh                   another port
#   ACCEPT=application/json local-test/load-test.sh     ask for another type of answer
#
# Exit codes: 0 it was measured, 1 it could not be, 2 wrong usage, 130 Ctrl-C.
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

SERVER="" # serve-local.sh, if it was started here
trap 'stop_server; clean_up' EXIT

main() {
  local type
  read_load_arguments "$@"
  read_port
  [ -f "$PAYLOAD" ] || fail "there is no file $PAYLOAD" 2
  PYTHON="$(find_python)" || exit 1
  if [ -z "$URL" ]; then
    URL="http://127.0.0.1:$PORT"
    ensure_server
  fi
  # Python tells its progress itself.
  ATTENDED_SAYS_AFTER=99999 ATTENDED_SAYS_EVERY=99999
  type="$(content_type_of "$PAYLOAD")"
  PYTHONPATH="$KIT" attend "" "measuring" "$PYTHON" -P -B -m loadtest "$URL" "$PAYLOAD" \
    --content-type "${type:-text/csv}" --report "$REPORT" ${ACCEPT:+--accept "$ACCEPT"} ${OPTIONS[@]+"${OPTIONS[@]}"}
}

# Sets PAYLOAD, REPORT, URL, SERVE (how the server is started) and OPTIONS (what only the measurement knows).
read_load_arguments() {
  PAYLOAD="$HERE/payload.csv" REPORT="$TEST_DIR/output/load-test.html" URL="" SERVE=() OPTIONS=()
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help) usage && exit 0 ;;
      --docker | --native) SERVE=("$1") && shift && continue ;;
      --payload | --report | --url | --p99 | --rate | --region | --cpus | --seconds | --repeats) ;;
      -*) usage_error "unknown option $1" ;;
      *) usage_error "unknown argument $1; a payload is named by --payload" ;;
    esac
    [ $# -ge 2 ] || usage_error "$1 needs a value"
    case "$1" in
      --payload) PAYLOAD="$2" ;;
      --report) REPORT="$2" ;;
      --url) URL="$2" ;;
      *) OPTIONS+=("$1" "$2") ;;
    esac
    shift 2
  done
}

ensure_server() {
  local answer
  answer="$(get /ping)" || true
  case "$answer" in
    "HTTP/1."?" 200 "*) say "loading the server that answers on port $PORT" && return ;;
  esac
  ! port_is_taken "$PORT" ||
    fail "what listens on port $PORT does not say 200 to /ping${answer:+, but ${answer%%$'\r'*}}. Wait until it is ready, or choose another port: PORT=$(next_free_port "$PORT") $0"
  start_server
}

start_server() {
  local ticker
  make_scratch
  say "starting a server on port $PORT"
  set -m # process groups of their own: Ctrl-C reaches them through us alone
  PORT="$PORT" "$HERE/serve-local.sh" ${SERVE[@]+"${SERVE[@]}"} </dev/null >"$SCRATCH/server.log" 2>&1 &
  SERVER=$!
  tell_progress "$SERVER" "$SCRATCH/server.log" "starting the server" &
  ticker=$!
  set +m
  while kill -0 "$SERVER" 2>/dev/null; do
    case "$(get /ping)" in "HTTP/1."?" 200 "*) break ;; esac
    sleep 0.3
  done
  {
    end_group "$ticker" KILL
    wait "$ticker" || true
  } 2>/dev/null
  [ ! -t 2 ] || printf '\r\033[K' >&2
  kill -0 "$SERVER" 2>/dev/null && return
  tail -n 12 "$SCRATCH/server.log" >&2
  SERVER=""
  fail "the server did not start; its last words stand above"
}

# The first signal asks it to answer what it has, the second ends it at once, with all that it has started.
stop_server() {
  local tenths
  for tenths in 30 50; do
    [ -n "$SERVER" ] && kill -TERM "$SERVER" 2>/dev/null || return 0
    while [ "$tenths" -gt 0 ] && kill -0 "$SERVER" 2>/dev/null; do
      tenths=$((tenths - 1))
      sleep 0.1
    done
  done
}

main "$@"
