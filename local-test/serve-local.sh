#!/usr/bin/env bash
# Usage: local-test/serve-local.sh [--docker|--native] [IMAGE]
#
# Serves predictions on http://127.0.0.1:8080 as SageMaker would. Ctrl-C ends it. It serves the model that
# train-local.sh has put into test-dir/model. If there is none, it serves model/model.pkl.
#
#   IMAGE      run this image; without IMAGE the image is built from this directory
#   --docker   run in a container, or fail
#   --native   run without Docker, in a virtual environment (.venv) that is made here
#   Without --docker and --native: in a container if Docker answers and the image can be built, else without Docker.
#
#   PORT=8081 local-test/serve-local.sh                   listen on another port
#   MODEL_SERVER_WORKERS=1 local-test/serve-local.sh      change a setting; docs/settings.md lists them
set -euo pipefail
# shellcheck source=local-test/lib.sh
. "$(dirname "$0")/lib.sh"

PORT="${PORT:-8080}"

main() {
  read_arguments "$@"
  case "$PORT" in '' | *[!0-9]*) usage_error "PORT=$PORT is not a number" ;; esac
  port_is_taken "$PORT" && fail "port $PORT is taken. Choose another: PORT=$((PORT + 1)) $0"
  warn_of_another_model
  choose_mode
  # docker run and the native server both pass SIGTERM on, and drain.
  trap 'STOPPING=yes; kill -TERM "$SERVER" 2>/dev/null || true' INT TERM
  if [ "$MODE" = docker ]; then serve_docker & else serve_native & fi
  SERVER=$!
  announce_when_ready &
  CODE=0
  wait "$SERVER" || CODE=$?
  # The first wait ends with the signal; this one with the server.
  [ -z "${STOPPING:-}" ] || { wait "$SERVER" && CODE=0 || CODE=$?; }
  exit "$CODE"
}

serve_docker() {
  local name variables=()
  CONTAINER="serve-local-$$"
  while IFS= read -r name; do
    variables+=(--env "$name")
  done < <(env | sed -n 's/^\(MODEL_SERVER_[A-Z_]*\)=.*/\1/p; s/^\(SAGEMAKER_[A-Z_]*\)=.*/\1/p' | grep -v -e _BIND_TO_PORT -e _BASE_DIR)
  # Mounted read-only, as SageMaker does it.
  exec docker run --rm --name "$CONTAINER" --publish "127.0.0.1:$PORT:8080" --volume "$TEST_DIR:/opt/ml:ro" \
    ${variables[@]+"${variables[@]}"} "$IMAGE" serve
}

serve_native() {
  make_environment
  command -v nginx >/dev/null 2>&1 || say "nginx is not installed: gunicorn answers alone on the port."
  SAGEMAKER_BASE_DIR="$TEST_DIR" SAGEMAKER_BIND_TO_PORT="$PORT" exec "$VENV/bin/python" "$KIT/model/serve"
}

announce_when_ready() {
  until curl --silent --fail --output /dev/null --max-time 2 "http://127.0.0.1:$PORT/ping"; do
    kill -0 "$SERVER" 2>/dev/null || return
    sleep 0.5
  done
  say "ready on http://127.0.0.1:$PORT. In another terminal: $([ "$PORT" = 8080 ] || echo "PORT=$PORT ")./local-test/predict.sh"
}

# A copy that train-local.sh made of an older model would be served without a word.
warn_of_another_model() {
  local copy="$TEST_DIR/model/model.pkl"
  [ -f "$copy" ] && ! cmp -s "$copy" "$KIT/model/model.pkl" &&
    say "note: test-dir/model/model.pkl is served, and differs from model/model.pkl. Run train-local.sh to renew it, or delete it."
  return 0
}

main "$@"
