# shellcheck shell=bash disable=SC2034 # the variables are for the script that reads this file
#
# What a build of the image needs to know beside the Dockerfile: the builder, Python's version, and where private packages
# come from. Sourced by build_and_push.sh and by the scripts of local-test/. A password reaches only the one step that
# installs packages; with BuildKit and podman as a secret, with Docker's old builder as a build argument of a stage that
# is not part of the image.

# Prints legacy, buildkit, podman or finch.
builder_of() {                # <engine>
  case "$("$1" --version)" in # `docker` may be podman in disguise
    *podman*) echo podman ;;
    *Docker*) if [ "${DOCKER_BUILDKIT:-1}" != 0 ] && "$1" buildx version >/dev/null 2>&1; then echo buildkit; else echo legacy; fi ;;
    *) echo finch ;;
  esac
}

# Sets build_arguments to the options of the build, which name variables and files and hold no value of them.
set_build_arguments() { # <builder> <directory of the Dockerfile> <directory for a Dockerfile with secrets>
  local name version="" mounts=""
  build_arguments=()
  read -r version 2>/dev/null <"$2/model/.python-version" || true
  case "$version" in 3.*.*) version="${version%.*}" ;; esac
  [ -z "$version" ] || build_arguments+=(--build-arg "PYTHON_VERSION=$version")
  if [ "$1" = legacy ]; then
    read_pip_file
  elif [ -n "${PIP_CONFIG_FILE:-}" ]; then
    build_arguments+=(--secret "id=pip.conf,src=$PIP_CONFIG_FILE")
    mounts=" --mount=type=secret,id=pip.conf,target=/etc/pip.conf"
  fi
  for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL; do
    if [ -z "${!name:-}" ]; then continue; fi
    if [ "$1" = legacy ]; then
      build_arguments+=(--build-arg "$name")
    else
      build_arguments+=(--secret "id=$name,env=$name")
      mounts="$mounts --mount=type=secret,id=$name"
    fi
  done
  if [ -n "$mounts" ]; then
    # Docker's old builder would not understand these words: they are put in for those that do.
    sed "s#^RUN \(python3 -P serving/install.py\)#RUN$mounts \1#" "$2/Dockerfile" >"$3/Dockerfile"
    build_arguments+=(--file "$3/Dockerfile")
  fi
}

# Docker's old builder has no secrets: what the file says of indexes becomes the variables, which go before it.
read_pip_file() {
  if [ ! -r "${PIP_CONFIG_FILE:-}" ]; then return; fi
  PIP_INDEX_URL="${PIP_INDEX_URL:-$(sed -n 's/^ *index-url *[=:] *//p' "$PIP_CONFIG_FILE" | head -n 1)}"
  PIP_EXTRA_INDEX_URL="${PIP_EXTRA_INDEX_URL:-$(sed -n 's/^ *extra-index-url *[=:] *//p' "$PIP_CONFIG_FILE" | head -n 1)}"
  export PIP_INDEX_URL PIP_EXTRA_INDEX_URL
}
