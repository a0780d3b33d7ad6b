# What the scripts of this directory share: where things are, whether Docker answers, the virtual environment.
# Sourced, never run. Bash 3.2 (macOS) is enough.
# shellcheck shell=bash

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
KIT="$(dirname "$HERE")"
TEST_DIR="$HERE/test-dir"
# Each checkout has an image of its own: two on one machine never serve each other's model.
LOCAL_IMAGE="model-kit-local-$(printf '%s' "$KIT" | cksum | cut -d ' ' -f 1)"

say() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

fail() {
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

engine_answers() {
  command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1
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

# Makes MODE docker or native, and IMAGE the one to run.
choose_mode() {
  [ "$MODE" = native ] && return
  if ! engine_answers; then
    [ "$MODE" = docker ] && fail "no Docker engine answers. Start Docker, or leave out --docker to run natively."
    [ -n "$IMAGE" ] && fail "no Docker engine answers, so the image $IMAGE cannot run. Start Docker, or name no image."
    say "no Docker engine answers: running natively."
    MODE=native
    return
  fi
  if [ -n "$IMAGE" ]; then
    docker image inspect "$IMAGE" >/dev/null 2>&1 || fail "there is no image $IMAGE. Build it: docker build -t $IMAGE \"$KIT\""
    MODE=docker
    return
  fi
  IMAGE="$LOCAL_IMAGE"
  say "building the image $IMAGE (the first time takes some minutes; see local-test/test-dir/output/build.log)"
  if docker build --force-rm --tag "$IMAGE" "$KIT" >"$TEST_DIR/output/build.log" 2>&1; then
    grep "^requirements.txt has changed" "$TEST_DIR/output/build.log" >&2 || true
    MODE=docker
    return
  fi
  refuse_unusable_model
  tail -n 5 "$TEST_DIR/output/build.log" >&2
  [ "$MODE" = docker ] && fail "the image could not be built. All of it: $TEST_DIR/output/build.log"
  say "the image could not be built (all of it: local-test/test-dir/output/build.log): running natively."
  MODE=native
}

# Where the build has ended with the model's own fault, another way to run it would end so too.
refuse_unusable_model() {
  local reason
  reason="$(tr -d '\033' <"$TEST_DIR/output/build.log" | sed -n 's/\[[0-9;]*m//g; s/^.*check: the model cannot serve: //p' | tail -n 1)"
  [ -z "$reason" ] || fail "the model cannot serve: $reason"
}

# The first Python that is new enough; PYTHON=… chooses one.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer was found. Install one, or name it: PYTHON=/path/to/python3.12 $0"
}

# Makes a virtual environment once, and installs into it whenever the requirements have changed. $1: its name.
make_environment() {
  local python wanted
  VENV="$KIT/${1:-.venv}"
  if [ ! -x "$VENV/bin/python" ]; then
    python="$(find_python)"
    "$python" -m venv "$VENV" || {
      rm -rf "$VENV"
      fail "$python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv"
    }
  fi
  wanted="$("$VENV/bin/python" "$KIT/model/serving/install.py" --stamp)"
  if [ "$(cat "$VENV/installed" 2>/dev/null)" != "$wanted" ]; then
    say "installing the model's packages into $(basename "$VENV") (the first time takes a minute)"
    "$VENV/bin/python" "$KIT/model/serving/install.py" >&2 || exit 1
    printf '%s\n' "$wanted" >"$VENV/installed"
  fi
  build_native
}

# Numbers and trees in C, where a C compiler is; without one, Python does the same more slowly.
build_native() {
  local room="$KIT/model/serving/compiler"
  [ "$room/libnative.so" -nt "$room/native.c" ] || "$VENV/bin/python" "$room/build.py" || true
}

port_is_taken() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
