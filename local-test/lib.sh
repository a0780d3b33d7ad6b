# What the scripts of this directory share: words, manners at the start and at the end, ports. Sourced, never run.
# Bash 3.2 (macOS) is enough. Whatever happens, a script ends at once at Ctrl-C, with 130, and leaves nothing behind.
# shellcheck shell=bash

HERE="$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
KIT="$(dirname "$HERE")"
TEST_DIR="$HERE/test-dir"
# Each checkout has an image of its own: two on one machine never serve each other's model.
LOCAL_IMAGE="model-kit-local-$(printf '%s' "$KIT" | cksum | cut -d ' ' -f 1)"
LEFTOVERS=() # files and directories that go when the script ends
CONTAINER="" # the one that goes with the script

# shellcheck source=push/attended.sh
. "$KIT/push/attended.sh"
# shellcheck source=push/building.sh
. "$KIT/push/building.sh"
# shellcheck source=local-test/environment.sh
. "$HERE/environment.sh"
# shellcheck source=local-test/engine.sh
. "$HERE/engine.sh"

say() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

fail() { # <what is wrong, and what to do> [<exit code>]
  say "$1"
  exit "${2:-1}"
}

# The head comment of the script is its --help.
usage() {
  sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "$0"
}

usage_error() {
  say "$1"
  usage >&2
  exit 2
}

clean_up() {
  remove_container
  end_attended
  remove_container                                      # `docker run` may have made it just before it ended
  [ -z "${LEFTOVERS[*]-}" ] || rm -rf "${LEFTOVERS[@]}" # an empty array is unset to bash 3.2
}

interrupted() { # <exit code>
  trap '' INT TERM HUP
  say "stopped"
  exit "$1"
}

trap clean_up EXIT
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
trap 'interrupted 129' HUP

# A directory for files of this run.
make_scratch() {
  [ -z "${SCRATCH:-}" ] || return 0
  SCRATCH="${TMPDIR:-/tmp}/$LOCAL_IMAGE-$$-$RANDOM"
  LEFTOVERS+=("$SCRATCH") # first, because Ctrl-C may come between the two lines
  mkdir -m 700 "$SCRATCH"
}

# Sets MODE (auto, docker or native) and IMAGE (one that is there, or nothing) from a script's arguments.
read_arguments() {
  MODE=auto IMAGE=""
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help) usage && exit 0 ;;
      --docker | --native) MODE="${1#--}" ;;
      -*) usage_error "unknown option $1" ;;
      *) [ -z "$IMAGE" ] || usage_error "one image, not two: $IMAGE, $1" && IMAGE="$1" ;;
    esac
    shift
  done
}

# Sets PORT from the environment; the start of a suggested command is then `$(with_port)./local-test/…`.
read_port() {
  PORT="${PORT:-8080}"
  case "$PORT" in *[!0-9]* | 0* | ??????*) usage_error "PORT=$PORT is not a port: a number from 1 to 65535" ;; esac
  [ "$PORT" -le 65535 ] || usage_error "PORT=$PORT is not a port: a number from 1 to 65535"
}

with_port() {
  [ "$PORT" = 8080 ] || printf 'PORT=%s ' "$PORT"
}

# A command of this kit as it can be typed where the user is.
command_line() { # <script of local-test> [<argument>...]
  local script="./local-test/$1" argument
  [ "$(pwd -P)" = "$KIT" ] || script="$(printf '%q' "$HERE/$1")"
  shift
  printf '%s' "$script"
  for argument in "$@"; do printf ' %q' "$argument"; done
}

port_is_taken() { # <port>
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The answer to a GET, status line first; nothing where nobody answers.
get() { # <path>
  local line
  {
    exec 3<>"/dev/tcp/127.0.0.1/$PORT" || return 0
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$1" >&3
    while IFS= read -r -t 2 line <&3 || [ -n "$line" ]; do printf '%s\n' "$line"; done
    exec 3>&-
  } 2>/dev/null
}

# The content type of a payload, by its name; nothing where that says nothing.
content_type_of() { # <file>
  case "$1" in
    *.csv) echo text/csv ;;
    *.json) echo application/json ;;
    *.jsonl | *.ndjson) echo application/jsonlines ;;
    *.npy) echo application/x-npy ;;
    *.npz) echo application/x-npz ;;
    *.parquet) echo application/x-parquet ;;
    *.txt) echo text/plain ;;
  esac
}

next_free_port() { # <port>
  local port="$1"
  while port=$((port < 65535 ? port + 1 : 1024)) && port_is_taken "$port"; do :; done
  printf '%s\n' "$port"
}

# A copy that train-local.sh made of an older model would be served without a word.
warn_of_another_model() {
  local copy name
  for copy in "$TEST_DIR/model"/*.pkl "$TEST_DIR/model"/*.pickle "$TEST_DIR/model"/*.joblib "$TEST_DIR/model"/*.skops; do
    name="$(basename "$copy")"
    if [ -f "$copy" ] && ! cmp -s "$copy" "$KIT/model/$name"; then
      say "note: test-dir/model/$name is served, and differs from model/$name. Renew it: $(command_line train-local.sh). Or delete it."
    fi
  done
}
