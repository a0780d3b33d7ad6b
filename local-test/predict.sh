#!/usr/bin/env bash
# Usage: local-test/predict.sh [PAYLOAD] [CONTENT-TYPE]
#        local-test/predict.sh --offline [--docker|--native] [--quiet] [PAYLOAD] [CONTENT-TYPE]
#
# Sends a file to the server that serve-local.sh has started and prints the answer. With --offline no server is needed,
# and the file may have any size: it is read, predicted and answered in blocks.
#
#   PAYLOAD        the file to send; default: local-test/payload.csv; with --offline, - is standard input
#   CONTENT-TYPE   default: told from the file's ending (.csv .json .jsonl .npy .npz .parquet .txt), else text/csv; with
#                  --offline, else from its first bytes
#   --offline      predict without a server, with the model that serve-local.sh would serve
#   --docker       in a container, or fail
#   --native       without Docker, in the virtual environment .venv
#   Without --docker and --native: in a container if Docker answers and the image can be built, else without Docker.
#   --quiet        tell no progress
#
#   PORT=8081 local-test/predict.sh                   send to another port
#   ACCEPT=application/json local-test/predict.sh     ask for another type of answer
#   MODEL_SERVER_BAD_RECORDS=mark local-test/predict.sh --offline rows.csv    mark bad records, as a transform job does
#
# Exit codes: 0 all rows are predicted, 1 the answer is an error or there is none, 2 wrong usage or a wrong setting,
# 130 Ctrl-C.
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

main() {
  read_words "$@"
  [ "$PAYLOAD" = - ] && [ -n "$OFFLINE" ] || [ -f "$PAYLOAD" ] || fail "there is no file $PAYLOAD" 2
  if [ -n "$OFFLINE" ]; then predict_offline; else ask_the_server; fi
}

# Sets PAYLOAD, TYPE (or nothing), OFFLINE, QUIET and MODE.
read_words() {
  PAYLOAD="" TYPE="" OFFLINE="" QUIET="" MODE=""
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help) usage && exit 0 ;;
      --offline) OFFLINE=yes ;;
      --quiet) QUIET=--quiet ;;
      --docker | --native) MODE="${1#--}" ;;
      -?*) usage_error "unknown option $1" ;;
      *)
        [ -z "$TYPE" ] || usage_error "at most a payload and a content type"
        if [ -z "$PAYLOAD" ]; then PAYLOAD="$1"; else TYPE="$1"; fi
        ;;
    esac
    shift
  done
  [ -n "$OFFLINE" ] || [ -z "$MODE$QUIET" ] || usage_error "--docker, --native and --quiet are for --offline"
  PAYLOAD="${PAYLOAD:-$HERE/payload.csv}"
  [ -n "$TYPE" ] || TYPE="$(content_type_of "${PAYLOAD%.gz}")"
}

ask_the_server() {
  local url status
  read_port
  command -v curl >/dev/null 2>&1 || fail "curl is not installed, by which the rows are sent. On Debian or Ubuntu: apt-get install curl"
  url="http://127.0.0.1:$PORT/invocations"
  make_scratch
  ANSWER="$SCRATCH/answer"
  attend "" "waiting for the answer" curl --silent --show-error --max-time 3600 --output "$ANSWER" --write-out '%{http_code}' \
    --header "Content-Type: ${TYPE:-text/csv}" ${ACCEPT:+--header "Accept: $ACCEPT"} \
    --header 'Expect:' --data-binary "@$PAYLOAD" "$url" >"$SCRATCH/status" ||
    fail "nothing answers on $url. Start it in another terminal: $(with_port)./local-test/serve-local.sh"
  status="$(cat "$SCRATCH/status")"
  cat "$ANSWER"
  # JSON has no line end, and a terminal's prompt needs one.
  ! [ -t 1 ] || [ -z "$(tail -c 1 "$ANSWER" | tr -d '\n')" ] || printf '\n'
  case "$status" in
    2??) ;;
    *) fail "the server answered $status" ;;
  esac
}

predict_offline() {
  local size="" code=0
  if [ "$PAYLOAD" = - ]; then
    ! [ -t 0 ] || usage_error "standard input is a terminal; name a file, or send one: < rows.csv"
    exec 3<&0
  else
    exec 3<"$PAYLOAD"
    size="$(wc -c <"$PAYLOAD" | tr -d ' ')"
  fi
  MODE="${MODE:-auto}" IMAGE=""
  choose_mode
  [ "$MODE" = docker ] || make_environment .venv --model
  warn_of_another_model
  [ -n "$QUIET" ] || say "predicting without a server"
  set -- predict ${TYPE:+--content-type "$TYPE"} ${ACCEPT:+--accept "$ACCEPT"} ${size:+--size "$size"} $QUIET
  [ "$MODE" != docker ] || CONTAINER="$LOCAL_IMAGE-$$"
  ATTENDED_SAYS_AFTER=86400 attend "" "predicting" "predict_$MODE" "$@" || code=$? # it tells its progress itself
  CONTAINER=""
  exit "$code"
}

# shellcheck disable=SC2317,SC2329 # called by predict_offline
predict_docker() { # predict <option>...
  set_variables
  exec docker run --rm --interactive --name "$CONTAINER" --volume "$TEST_DIR:/opt/ml:ro" --network none \
    --security-opt no-new-privileges --cap-drop ALL ${VARIABLES[@]+"${VARIABLES[@]}"} "$IMAGE" "$@" <&3
}

# shellcheck disable=SC2317,SC2329 # called by predict_offline
predict_native() { # predict <option>...
  SAGEMAKER_BASE_DIR="$TEST_DIR" PYTHONPATH="$KIT/model" exec "$VENV/bin/python" -P -m serving "$@" <&3
}

main "$@"
