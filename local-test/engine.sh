# Docker: whether an engine answers and why not, the image of this directory. Sourced by lib.sh.
# shellcheck shell=bash disable=SC2154 # build_arguments is set by push/building.sh

# True when an engine answers; else ENGINE_SAYS is the reason and ENGINE_REMEDY what to do.
engine_answers() {
  local text
  ENGINE_REMEDY="Start Docker: Docker Desktop, or sudo systemctl start docker."
  if ! command -v docker >/dev/null 2>&1; then
    ENGINE_SAYS="no Docker engine answers (docker is not installed)" ENGINE_REMEDY="Install and start Docker."
    return 1
  fi
  make_scratch
  ATTEND_LIMIT=20 attend "$SCRATCH/engine" "waiting for Docker's answer" docker info && return
  text="$(grep -v '^ *$' "$SCRATCH/engine" | tail -n 1)"
  case "$text" in
    *"permission denied"*)
      ENGINE_SAYS="you may not use Docker's socket (${text#ERROR: })"
      ENGINE_REMEDY="sudo usermod -aG docker \"\$USER\", then log in again."
      ;;
    *"Cannot connect"* | *"Is the docker daemon running"*) ENGINE_SAYS="no Docker engine answers" ;;
    *) ENGINE_SAYS="Docker does not answer (${text:-nothing within 20 s})" ;;
  esac
  return 1
}

# Makes MODE docker or native, and IMAGE the one to run.
choose_mode() {
  [ "$MODE" != native ] || return 0
  if ! engine_answers; then
    [ "$MODE" != docker ] || fail "$ENGINE_SAYS. $ENGINE_REMEDY Or leave out --docker to run natively."
    [ -z "$IMAGE" ] || fail "$ENGINE_SAYS, so the image $IMAGE cannot run. $ENGINE_REMEDY Or name no image."
    say "$ENGINE_SAYS: running natively."
    MODE=native
    return
  fi
  if [ -n "$IMAGE" ]; then
    docker image inspect "$IMAGE" >/dev/null 2>&1 || fail "there is no image $IMAGE. Build it: docker build -t $IMAGE \"$KIT\""
  elif ! build_image; then
    refuse_what_fails_everywhere
    [ "$MODE" != docker ] || fail "the image could not be built; its reason stands above. All of it: $BUILD_LOG"
    say "the image could not be built; its reason stands above. All of it: $BUILD_LOG. Running natively."
    MODE=native
    return
  fi
  MODE=docker
}

# Sets VARIABLES to the options of `docker run` that hand on the settings of this environment.
set_variables() {
  local name
  VARIABLES=()
  while IFS= read -r name; do
    VARIABLES+=(--env "$name")
  done < <(env | sed -n 's/^\(MODEL_SERVER_[A-Z_]*\)=.*/\1/p; s/^\(SAGEMAKER_[A-Z_]*\)=.*/\1/p' | grep -v -e _BIND_TO_PORT -e _BASE_DIR)
}

# Builds LOCAL_IMAGE from this directory; what the build says is in BUILD_LOG. On a failure its last lines are shown.
build_image() {
  local first=""
  IMAGE="$LOCAL_IMAGE"
  BUILD_LOG="$TEST_DIR/output/build.log"
  [ -w "$TEST_DIR/output" ] || BUILD_LOG="${TMPDIR:-/tmp}/$IMAGE.log"
  docker image inspect "$IMAGE" >/dev/null 2>&1 || first=" (the first time its packages are downloaded, which takes minutes)"
  say "building the image $IMAGE$first"
  remember_layers
  make_scratch
  set_build_arguments "$(builder_of docker)" "$KIT" "$SCRATCH"
  if ! attend "$BUILD_LOG" "building" docker build --force-rm --tag "$IMAGE" ${build_arguments[@]+"${build_arguments[@]}"} "$KIT"; then
    tail -n 8 "$BUILD_LOG" >&2
    return 1
  fi
  show_notes "$BUILD_LOG"
  remove_old_layers
}

# Docker's own builder keeps what it makes without a name; its log has their ids.
layers_of_log() {
  sed -n 's/^ ---> \([0-9a-f]\{12\}\)$/\1/p' "$BUILD_LOG" 2>/dev/null
}

remember_layers() {
  layers_of_log >>"$BUILD_LOG.layers"
}

# What earlier builds of this directory have left and this one does not use. Images with a name stay.
remove_old_layers() {
  local id now
  now="$(layers_of_log)"
  while IFS= read -r id; do
    case "$now" in *"$id"*) continue ;; esac
    [ "$(docker image inspect --format '{{len .RepoTags}}' "$id" 2>/dev/null)" != 0 ] || docker image rm "$id" >/dev/null 2>&1 || true
  done < <(sort -u "$BUILD_LOG.layers")
  rm -f "$BUILD_LOG.layers"
}

# Where the build has ended with the model's own fault or its packages', another way to run it would end so too.
refuse_what_fails_everywhere() {
  local reason
  reason="$(tr -d '\033' <"$BUILD_LOG" | sed -n 's/\[[0-9;]*m//g; s/^.*check: the model cannot serve: //p' | tail -n 1)"
  [ -z "$reason" ] || fail "the model cannot serve: $reason"
  ! grep -q "packages could not be installed" "$BUILD_LOG" || fail "the image could not be built: its packages could not be installed. All of it: $BUILD_LOG"
}

remove_container() {
  [ -z "$CONTAINER" ] || docker rm --force "$CONTAINER" >/dev/null 2>&1 || true
}
