#!/usr/bin/env bash
# Usage: local-test/serve-local.sh [--docker|--native] [IMAGE]
#
# Serves predictions on http://127.0.0.1:8080 as SageMaker would. Ctrl-C ends it. It serves the model that
# train-local.sh has put into test-dir/model. If there is none, it serves model/model.pkl. In a browser that address is
# a page to try the model.
#
#   IMAGE      run this image; without IMAGE the image is built from this directory
#   --docker   run in a container, or fail
#   --native   run without Docker, in a virtual environment (.venv) that is made here
#   Without --docker and --native: in a container if Docker answers and the image can be built, else without Docker.
#
#   PORT=8081 local-test/serve-local.sh                   listen on another port
#   MODEL_SERVER_WORKERS=1 local-test/serve-local.sh      change a setting; docs/settings.md lists them
#   MODEL_SERVER_TRY_PAGE=off local-test/serve-local.sh   no page
#
# Exit codes: 0 it served until Ctrl-C, 1 it could not serve, 2 wrong usage or a wrong setting, 78 no worker can load
# the model, 130 Ctrl-C before it served, or twice. A server that ends by itself gives its own code.
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

STATE=starting # then serving, at last stopping
SERVER=""

main() {
  read_arguments "$@"
  read_port
  export MODEL_SERVER_TRY_PAGE="${MODEL_SERVER_TRY_PAGE-on}" # it is asked on 127.0.0.1 alone
  ! port_is_taken "$PORT" || fail "port $PORT is taken. Choose another: PORT=$(next_free_port "$PORT") $(command_line serve-local.sh "$@")"
  warn_of_another_model
  choose_mode
  [ "$MODE" = docker ] || prepare_native
  trap 'asked_to_stop 130' INT
  trap 'asked_to_stop 143' TERM
  trap 'asked_to_stop 129' HUP
  [ "$MODE" != docker ] || CONTAINER="$LOCAL_IMAGE-$$"
  set -m # a process group of its own: Ctrl-C reaches the server through us alone
  if [ "$MODE" = docker ]; then serve_docker & else serve_native & fi
  SERVER=$!
  set +m
  wait_until_ready
  # A signal ends a wait, and the server goes on until it has answered what it has.
  while CODE=0 && { wait "$SERVER" || CODE=$?; } && kill -0 "$SERVER" 2>/dev/null; do :; done
  case "$STATE-$CODE" in stopping-129 | stopping-130 | stopping-143) CODE=0 ;; esac
  CONTAINER=""
  exit "$CODE"
}

# Once it serves, the first signal lets it answer what it has; before, and the second time, it ends at once.
# shellcheck disable=SC2317,SC2329 # called by a signal
asked_to_stop() { # <exit code>
  if [ "$STATE" = serving ]; then
    STATE=stopping
    say "stopping when what was asked is answered (Ctrl-C again: at once)"
    kill -TERM "$SERVER" 2>/dev/null || true
  else
    [ -n "$CONTAINER" ] || [ -z "$SERVER" ] || end_tree "$SERVER"
    interrupted "$1"
  fi
}

serve_docker() {
  set_variables
  # test-dir is mounted read-only, as SageMaker does it. The container keeps only the rights to become another user.
  exec docker run --rm --name "$CONTAINER" --publish "127.0.0.1:$PORT:8080" --volume "$TEST_DIR:/opt/ml:ro" \
    --security-opt no-new-privileges --cap-drop ALL --cap-add CHOWN --cap-add SETUID --cap-add SETGID \
    ${VARIABLES[@]+"${VARIABLES[@]}"} "$IMAGE" serve
}

prepare_native() {
  make_environment .venv --model
  command -v nginx >/dev/null 2>&1 || say "nginx is not installed, and is not needed here: gunicorn answers alone."
}

serve_native() {
  SAGEMAKER_BASE_DIR="$TEST_DIR" SAGEMAKER_BIND_TO_PORT="$PORT" exec "$VENV/bin/python" "$KIT/model/serve"
}

# A model whose warm-up prediction fails would stay at 503 for ever: here that is the end, with the reason.
wait_until_ready() {
  local answer
  while kill -0 "$SERVER" 2>/dev/null; do
    answer="$(get /ping)" || true # the connection may break at any word
    case "$answer" in
      "HTTP/1."?" 200 "*)
        STATE=serving
        announce
        return
        ;;
      *"warm-up prediction failed"*)
        [ -n "$CONTAINER" ] || end_tree "$SERVER"
        fail "the model cannot serve: the warm-up prediction failed; its reason stands above"
        ;;
    esac
    sleep 0.3
  done
}

announce() {
  local where="In"
  case "$(get /)" in "HTTP/1."?" 200 "*) where="Open it in a browser to try the model, or in" ;; esac
  if [ "$(printf %s "${SAGEMAKER_MULTI_MODEL:-}" | tr '[:upper:]' '[:lower:]')" = true ]; then
    say "ready on http://127.0.0.1:$PORT/ for several models: load one by POST /models (docs/multi-model.md)"
  else
    say "ready on http://127.0.0.1:$PORT/. $where another terminal: $(with_port)$(command_line predict.sh)"
  fi
}

# A process and all that descend from it, those first that were started last.
end_tree() { # <process>
  local child
  for child in $(ps -A -o pid= -o ppid= | awk -v parent="$1" '$2 == parent { print $1 }'); do
    end_tree "$child"
  done
  kill -KILL "$1" 2>/dev/null || true
}

main "$@"
