# shellcheck shell=bash disable=SC2034,SC2154 # the variables are those of build_and_push.sh, which reads this file
#
# What must be true before the build, before the push and after it. Each failure says what to do.

BIND_TO_PORT_LABEL=com.amazonaws.sagemaker.capabilities.accept-bind-to-port
ENTRYPOINT_LINE='In the Dockerfile: ENTRYPOINT ["python3", "-m", "serving"]'
SERVERLESS_LIMIT=10737418240 # bytes; a larger image cannot be served serverless
DISK_NEEDED=2097152          # KB

check_options() {
  local lower name='^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$'
  [ -n "$image_name" ] || fail 2 "the image name is missing" "Usage: ./build_and_push.sh <image_name>     (more: --help)"
  if ! [[ "$image_name" =~ $name ]] || [ ${#image_name} -lt 2 ] || [ ${#image_name} -gt 256 ]; then
    lower="$(printf '%s' "${image_name%%:*}" | tr 'A-Z ' 'a-z-')"
    fail 2 "\"$image_name\" cannot be the name of an ECR repository" \
      "2 to 256 of a-z 0-9, with . _ - / between them; a tag is given by --tag. Perhaps: $lower"
  fi
  case "$platform" in
    linux/amd64 | linux/arm64) ;;
    *) fail 2 "--platform is \"$platform\"" "linux/amd64, or linux/arm64 for Graviton: SageMaker has no other." ;;
  esac
  [[ "$tag" =~ ^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$ ]] || fail 2 "--tag is \"$tag\"" "Up to 128 of A-Z a-z 0-9 _ . -"
  [[ "$bucket" =~ ^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$ ]] || fail 2 "--bucket is \"$bucket\"" "The name of a bucket, without s3://"
  [[ "$codebuild_role" =~ ^(arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+)?$ ]] ||
    fail 2 "--codebuild-role is \"$codebuild_role\"" "The ARN of a role: arn:aws:iam::<account>:role/<name>"
  [[ "$boundary" =~ ^(arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+)?$ ]] ||
    fail 2 "--permissions-boundary is \"$boundary\"" "The ARN of a policy: arn:aws:iam::<account>:policy/<name>"
  [ -z "$pip_secret" ] || [ "$codebuild" = yes ] || fail 2 "--pip-secret is for --codebuild" "Here, PIP_CONFIG_FILE names a pip.conf."
  [[ "$pip_secret" =~ ^[A-Za-z0-9/_+=.@:-]{0,512}$ ]] || fail 2 "--pip-secret is \"$pip_secret\"" "The name or the ARN of a secret."
  [[ "$keep_untagged" =~ ^[0-9]{1,4}$ ]] || fail 2 "--keep-untagged is \"$keep_untagged\"" "A whole number from 0 to 9999."
}

# What the build would find out too, but minutes later. Whether the model can be loaded is the build's last step.
check_files() {
  local model="$ROOT/model/model.pkl"
  [ -f "$ROOT/Dockerfile" ] || fail 3 "there is no Dockerfile in $ROOT" "Keep this script beside it."
  if grep -qE '^(async )?def load_model|^load_model *=|import .*load_model' "$ROOT/model/predictor.py" 2>/dev/null; then
    return # it knows where the model is
  fi
  found_model # one pickle of another name will do
  [ -e "$model" ] || fail 3 "model/model.pkl is missing" "Put your model there, or define load_model in model/predictor.py."
  [ -s "$model" ] || fail 3 "model/model.pkl is empty" 'Save your model again: joblib.dump(model, "model/model.pkl")'
  if head -c 100 "$model" | LC_ALL=C grep -q '^version https://git-lfs'; then
    fail 3 "model/model.pkl is a git-lfs pointer, not the model" "Fetch the model: git lfs install && git lfs pull"
  fi
}

# Asks the server's own rule which file the model is, where there is a Python that can; else the build's last step does.
found_model() {
  local said status=0
  said="$(PYTHONPATH="$ROOT/model" PYTHONDONTWRITEBYTECODE=1 python3 -m serving.models.artifact "$ROOT/model" 2>/dev/null)" || status=$?
  case "$status $said" in
    "0 "*) model="$said" ;;
    "3 "*"has no model.pkl. Found: nothing else"*) ;; # said below
    "3 "*". "*) fail 3 "${said%%. *}" "${said#*. }" ;;
  esac
}

find_engine() {
  local candidate
  for candidate in ${engine:-docker podman finch}; do
    command -v "$candidate" >/dev/null && break
    candidate=""
  done
  [ -n "$candidate" ] || fail 4 "there is no ${engine:-docker, podman or finch} here" \
    "Install one, or let AWS build: ./build_and_push.sh $image_name --codebuild"
  engine="$candidate"
  "$engine" info >/dev/null 2>"$scratch/engine-error" || engine_failed
  builder="$(builder_of "$engine")"
}

check_disk() {
  local place free
  place="$("$engine" info --format '{{.DockerRootDir}}' 2>/dev/null)" || place=""
  [ -d "$place" ] || place="$ROOT" # the engine runs in a virtual machine, whose disk is a file on ours
  free="$(df -Pk "$place" | awk 'NR == 2 { print $4 }')"
  [ "$free" -ge "$DISK_NEEDED" ] || fail 4 "only $((free / 1024)) MB are free in $place; a build needs $((DISK_NEEDED / 1024))" \
    "Make room. \"$engine image prune\" removes images that have no name and no container."
}

check_image() {
  local facts built size user label entrypoint
  image_id=IMAGE_ID image_date=DATE
  [ "$dry_run" = no ] || return 0
  facts="$("$engine" image inspect "$built_image" --format "{{.Id}}|{{.Created}}|{{.Os}}/{{.Architecture}}|{{.Size}}|{{.Config.User}}|{{with .Config.Labels}}{{index . \"$BIND_TO_PORT_LABEL\"}}{{end}}|{{json .Config.Entrypoint}}")"
  IFS='|' read -r image_id image_date built size user label entrypoint <<<"$facts"
  image_id="${image_id#sha256:}" image_date="${image_date%%[T ]*}"
  [ "$built" = "$platform" ] || fail 6 "the image is for $built, not for $platform" \
    "The base image that the Dockerfile names is here for $built only: $engine pull --platform $platform <base image>"
  case "$entrypoint" in
    '' | null | '[]') fail 6 "the image has no ENTRYPOINT" "SageMaker runs \"docker run <image> serve\". $ENTRYPOINT_LINE" ;;
    '["/bin/sh","-c"'*) fail 6 "the ENTRYPOINT is in shell form, which loses the word \"serve\" and SIGTERM" "$ENTRYPOINT_LINE" ;;
    *'tini"'*) fail 6 "the ENTRYPOINT is tini, which SageMaker does not allow" "$ENTRYPOINT_LINE" ;;
  esac
  [ "$label" = true ] || fail 6 "the image has no label $BIND_TO_PORT_LABEL=true" \
    "Endpoints with several containers refuse it. In the Dockerfile: LABEL $BIND_TO_PORT_LABEL=true"
  case "$user" in
    '' | root | 0 | 0:*) ;;
    *) say "Note: the image starts as user $user, and SageMaker expects root (USER in the Dockerfile)." ;;
  esac
  [ "$size" -le "$SERVERLESS_LIMIT" ] || say "Note: with $((size / 1048576)) MB the image is too large for serverless endpoints (10240); others take it."
  say "Image ${image_id:0:12}: $built, $((size / 1048576)) MB, entrypoint $entrypoint"
}

# Asks ECR, not the engine, what the tag is now. `latest` is moved only after this.
check_manifest() {
  local type arrived remedy
  digest=DIGEST
  [ "$dry_run" = no ] || return 0
  ask_for_manifest
  arrived="$type"
  [ "$type" = "$MANIFEST_TYPE" ] || ! repair_manifest "$type" || ask_for_manifest
  [ "$type" = "$MANIFEST_TYPE" ] && return
  case "$builder" in
    podman) remedy="Set BUILDAH_FORMAT=docker." ;;
    finch) remedy="Use docker or podman (--engine)." ;;
    legacy) remedy="Install Docker's buildx plugin, whose images are of the right type also in the containerd image store (and unset DOCKER_BUILDKIT)." ;;
    *) remedy="In Docker Desktop switch the containerd image store off; in daemon.json: \"features\": {\"containerd-snapshotter\": false}." ;;
  esac
  fail 8 "$repository:$tag is of type $arrived, which SageMaker refuses; \`latest\` was not moved" \
    "It could not be written anew: $(tr -s '\n' ' ' <"$scratch/aws-error")" "$remedy Or add --codebuild."
}

ask_for_manifest() {
  local answer
  answer="$(ask_aws ecr describe-images --repository-name "$image_name" --image-ids "imageTag=$tag" \
    --query 'imageDetails[0].[imageDigest, imageManifestMediaType]')" || aws_failed "Looking at what was pushed"
  read -r digest type <<<"$answer"
}
