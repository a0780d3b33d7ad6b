#!/usr/bin/env bash
# Usage: local-test/train-local.sh [--docker|--native] [IMAGE]
#
# Runs `train` as a SageMaker training job would, with test-dir in the place of /opt/ml: the model is checked and
# copied to test-dir/model, where serve-local.sh finds it. On an error `train` writes the reason to test-dir/output/failure;
# a model that cannot serve ends the build of its image already, with the reason.
#
#   IMAGE      an image that is there already; without it the image is built from this directory
#   --docker   in a container, or not at all
#   --native   without Docker, in a virtual environment (.venv) that is made here
#              Neither: Docker when an engine answers and the image can be built, else native.
set -euo pipefail
# shellcheck source=local-test/lib.sh
. "$(dirname "$0")/lib.sh"

main() {
  read_arguments "$@"
  choose_mode
  rm -f "$TEST_DIR/output/failure"
  if [ "$MODE" = docker ]; then train_docker; else train_native; fi
}

train_docker() {
  # Files in test-dir should belong to who runs this. Where the engine is rootless, the container's root does.
  local user=(--user "$(id -u):$(id -g)")
  case "$(docker info --format '{{.SecurityOptions}}')" in *rootless*) user=() ;; esac
  docker run --rm ${user[@]+"${user[@]}"} --volume "$TEST_DIR:/opt/ml" "$IMAGE" train
}

train_native() {
  make_environment
  SAGEMAKER_BASE_DIR="$TEST_DIR" "$VENV/bin/python" "$KIT/model/train"
}

main "$@"
