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
