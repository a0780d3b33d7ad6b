#!/usr/bin/env bash
# Usage: local-test/train-local.sh [--docker|--native] [IMAGE]
#
# Runs `train` as a SageMaker training job would, with test-dir in the place of /opt/ml. It checks the model and
# copies it to test-dir/model, where serve-local.sh finds it. If it fails, test-dir/output/failure has the reason.
# With Docker, a model that cannot serve already fails the build of the image, with the same reason.
#
#   IMAGE      run this image; without IMAGE the image is built from this directory
#   --docker   run in a container, or fail
#   --native   run without Docker, in a virtual environment (.venv) that is made here
#   Without --docker and --native: in a container if Docker answers and the image can be built, else without Docker.
#
# Exit codes: 0 the model can be served, 1 it cannot, 2 wrong usage, 130 Ctrl-C.
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until lib.sh does more
# shellcheck source=local-test/lib.sh
. "$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)/lib.sh"

main() {
  read_arguments "$@"
  choose_mode
  rm -f "$TEST_DIR/output/failure"
  trap 'training_stopped 130' INT
  trap 'training_stopped 143' TERM
  trap 'training_stopped 129' HUP
  if [ "$MODE" = docker ]; then train_docker; else train_native; fi
  say "next: $(command_line serve-local.sh "$@")"
}

train_docker() {
  # Files in test-dir should belong to who runs this. Where the engine is rootless, the container's root does.
  local user=(--user "$(id -u):$(id -g)")
  case "$(docker info --format '{{.SecurityOptions}}')" in *rootless*) user=() ;; esac
  CONTAINER="$LOCAL_IMAGE-$$"
  attend "" "training" docker run --rm --name "$CONTAINER" --security-opt no-new-privileges --cap-drop ALL \
    ${user[@]+"${user[@]}"} --volume "$TEST_DIR:/opt/ml" "$IMAGE" train
  CONTAINER=""
}

train_native() {
  make_environment .venv --model
  SAGEMAKER_BASE_DIR="$TEST_DIR" attend "" "training" "$VENV/bin/python" "$KIT/model/train"
}

# A part of a model, and the reason that `train` gives when it is stopped, would be left.
training_stopped() { # <exit code>
  trap '' INT TERM HUP
  LEFTOVERS+=("$TEST_DIR/model"/.*.partial "$TEST_DIR/output/failure")
  interrupted "$1"
}

main "$@"
