#!/usr/bin/env bash
# Usage: ./build_and_push.sh <image_name> [option...] [-- <option of the build>...]
#
# Builds the image from the Dockerfile beside this script, checks that SageMaker can run it, and pushes it
# to Amazon ECR in your account. The last line, alone on stdout, is the URI to deploy by: repository@digest.
# A second run changes nothing and says so. A failed or interrupted build pushes nothing.
#
#   --region REGION      default: AWS_REGION, AWS_DEFAULT_REGION, then the region of your AWS profile
#   --platform PLATFORM  linux/amd64 (default), or linux/arm64 for endpoints on Graviton instances
#   --tag TAG            default: <git describe, or the date>-<image id>; `latest` is moved too
#   --engine ENGINE      docker, podman or finch; default: the first of them that is installed
#   --dry-run            show every command; run only those that change nothing
#   --help               show this text
#
# When the repository does not exist yet, it is created, scanning each image that is pushed:
#   --immutable          a pushed tag can never be moved; `latest` is then not used
#   --kms-key ARN        encrypt with this KMS key; default: AES-256 with a key of AWS
#   --no-scan            do not scan
#   --keep-untagged N    let untagged images beyond the last N expire; default: 10; 0 keeps all
#
# Without a container engine (SageMaker Studio, locked laptops):
#   --codebuild          build and push in AWS CodeBuild, with the same options; its log is shown here
#   --bucket BUCKET      where the build finds its files; default: sagemaker-<region>-<account>
#   --codebuild-role ARN the role that the build runs as; default: one is made for this image alone
#
# Exit codes:
#   0  pushed, or there was nothing to push        5  AWS: no region, credentials, permission or answer
#   1  something unforeseen                        6  the build failed, or SageMaker could not run the image
#   2  wrong usage                                 7  the registry refused the login or the push
#   3  a file is missing or is not what it must be 8  pushed, but SageMaker would refuse the manifest
#   4  no container engine, or no disk space     130  interrupted (143: terminated)
set -euo pipefail

ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" >/dev/null && pwd)"
# The one kind of manifest that SageMaker hosts; OCI manifests and indexes are refused when the model is created.
MANIFEST_TYPE=application/vnd.docker.distribution.manifest.v2+json
BIND_TO_PORT_LABEL=com.amazonaws.sagemaker.capabilities.accept-bind-to-port
SERVERLESS_LIMIT=10737418240 # bytes of an image; larger ones cannot be served serverless
DISK_NEEDED_KB=2097152
export AWS_PAGER="" # CLI v2 would open one

image_name="" region="" platform=linux/amd64 tag="" engine="" dry_run=no
immutable=no kms_key="" scan=true keep_untagged=10
codebuild=no bucket="" codebuild_role=""
build_options=()
scratch="" stage="Nothing was built or pushed." # what is true if we stop now

say() {
  printf '%s\n' "$*" >&2
}

fail() { # <exit code> <what is wrong> <what to do>...
  local code="$1"
  printf 'build_and_push: %s\n' "$2" >&2
  shift 2
  [ $# = 0 ] || printf '  → %s\n' "$@" >&2
  exit "$code"
}

show() { # <command>...: as it could be pasted
  printf '+' >&2
  printf ' %q' "$@" >&2
  printf '\n' >&2
}

# Runs a command that changes something, or only shows it.
change() {
  show "$@"
  [ "$dry_run" = yes ] || "$@"
}

# Asks AWS; the answer goes to stdout, an error text to $scratch/aws-error, for aws_failed or the caller.
ask_aws() {
  [ "$dry_run" = no ] || show aws "$@" --region "$region" --output text
  aws "$@" --region "$region" --output text 2>"$scratch/aws-error"
}

change_aws() {
  show aws "$@" --region "$region" --output text
  [ "$dry_run" = yes ] || aws "$@" --region "$region" --output text 2>"$scratch/aws-error"
}

aws_error_has() {
  grep -q -e "$1" "$scratch/aws-error"
}

aws_failed() { # <what was tried>
  local text remedy action='not authorized to perform: ([A-Za-z0-9:-]+)'
  text="$(cat "$scratch/aws-error")"
  case "$text" in
  *AssumeRole*) remedy="Your profile assumes a role that does not exist or does not trust you: see role_arn in ~/.aws/config." ;;
  *"Unable to locate credentials"* | *NoCredentials*) remedy="Sign in: aws configure, aws sso login, or set AWS_PROFILE." ;;
  *"Token has expired"* | *ExpiredToken* | *"has expired"*) remedy="Your session has ended. Sign in again: aws sso login, or fetch new keys." ;;
  *"could not be found"*profile* | *profile*"could not be found"*) remedy="AWS_PROFILE names a profile that ~/.aws/config does not have. Yours: aws configure list-profiles" ;;
  *InvalidClientTokenId* | *UnrecognizedClient* | *SignatureDoesNotMatch* | *"security token"*) remedy="These keys are wrong, or of another partition (China and GovCloud have their own): aws configure" ;;
  *"not authorized to perform"* | *AccessDenied*)
    remedy="Ask for this permission on ${image_name} (README, \"What the push needs\")."
    [[ "$text" =~ $action ]] && remedy="Ask for ${BASH_REMATCH[1]} on ${image_name} (README, \"What the push needs\")."
    ;;
  *"Could not connect"* | *"Invalid endpoint"* | *"does not exist in region"*) remedy="Is \"${region}\" a region, and can this machine reach AWS (proxy, VPN)?" ;;
  *"Invalid choice"* | *"invalid choice"*) remedy="This AWS CLI is too old: install version 2." ;;
  *) remedy="Run the command again by hand to look closer." ;;
  esac
  fail 5 "$1 failed: $(printf '%s' "$text" | tr -s '\n' ' ')" "$remedy"
}

read_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
    --region | --platform | --tag | --engine | --kms-key | --keep-untagged | --bucket | --codebuild-role)
      [ -n "${2:-}" ] || fail 2 "$1 needs a value" "See --help."
      ;;
    esac
    case "$1" in
    --region) region="$2" && shift ;;
    --platform) platform="$2" && shift ;;
    --tag) tag="$2" && shift ;;
    --engine) engine="$2" && shift ;;
    --kms-key) kms_key="$2" && shift ;;
    --keep-untagged) keep_untagged="$2" && shift ;;
    --bucket) bucket="$2" && shift ;;
    --codebuild-role) codebuild_role="$2" && shift ;;
    --immutable) immutable=yes ;;
    --no-scan) scan=false ;;
    --codebuild) codebuild=yes ;;
    --dry-run) dry_run=yes ;;
    -h | --help) awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}" && exit 0 ;;
    --)
      shift
      build_options=("$@")
      break
      ;;
    -*) fail 2 "there is no option $1" "See --help." ;;
    *)
      [ -z "$image_name" ] || fail 2 "one image name, not two: $image_name $1" "See --help."
      image_name="$1"
      ;;
    esac
    shift
  done
  check_options
}

check_options() {
  local name='^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$' lower
  [ -n "$image_name" ] || fail 2 "the image name is missing" "Usage: ./build_and_push.sh <image_name>     (more: --help)"
  if ! [[ "$image_name" =~ $name ]] || [ ${#image_name} -lt 2 ] || [ ${#image_name} -gt 256 ]; then
    lower="$(printf '%s' "${image_name%%:*}" | tr 'A-Z ' 'a-z-')"
    fail 2 "\"$image_name\" cannot be the name of an ECR repository" \
      "2 to 256 of a-z 0-9, with . _ - / between them, and no tag (that is --tag). Perhaps: $lower"
  fi
  case "$platform" in
  linux/amd64 | linux/arm64) ;;
  *) fail 2 "--platform is \"$platform\"" "linux/amd64, or linux/arm64 for Graviton: SageMaker has no other." ;;
  esac
  [[ "$tag" =~ ^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$ ]] || fail 2 "\"$tag\" cannot be a tag" "Up to 128 of A-Z a-z 0-9 _ . -"
  [[ "$keep_untagged" =~ ^[0-9]{1,4}$ ]] || fail 2 "--keep-untagged is \"$keep_untagged\"" "A whole number from 0 to 9999."
}

# What the build would find out too, minutes later. That the model can be loaded is checked by the build itself.
check_files() {
  local model="$ROOT/model/model.pkl"
  [ -f "$ROOT/Dockerfile" ] || fail 3 "there is no Dockerfile in $ROOT" "Keep this script beside it."
  grep -qE '^(async )?def load_model|^load_model *=|import .*load_model' "$ROOT/model/predictor.py" 2>/dev/null && return
  [ -e "$model" ] || fail 3 "model/model.pkl is missing" "Put your model there, or define load_model in model/predictor.py."
  [ -s "$model" ] || fail 3 "model/model.pkl is empty" "Save your model again: joblib.dump(model, \"model/model.pkl\")"
  if head -c 100 "$model" | LC_ALL=C grep -q '^version https://git-lfs'; then
    fail 3 "model/model.pkl is a git-lfs pointer, not the model" "Fetch it: git lfs install && git lfs pull"
  fi
}

find_region() {
  command -v aws >/dev/null || fail 5 "the AWS CLI is not installed" "https://aws.amazon.com/cli/"
  region="${region:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}"
  [ -n "$region" ] || region="$(aws configure get region 2>/dev/null)" || true
  [ -n "$region" ] ||
    fail 5 "no region is set" "Add --region us-east-1 (yours), or set AWS_REGION, or run: aws configure"
}

find_account() {
  local answer
  answer="$(ask_aws sts get-caller-identity --query '[Account,Arn]')" || aws_failed "Finding out who you are"
  read -r account identity <<<"$answer"
  say "Account $account, region $region, as $identity"
}

# The registry's host comes from AWS too: it has another ending in China, GovCloud and other partitions.
find_repository() {
  local answer
  repository="" mutability="" exclusions=""
  answer="$(ask_aws ecr get-authorization-token --query 'authorizationData[0].proxyEndpoint')" || aws_failed "Asking for a login to ECR"
  registry="${answer#https://}"
  if answer="$(ask_aws ecr describe-repositories --repository-names "$image_name" \
    --query 'repositories[0].[repositoryUri, imageTagMutability, join(`,`, imageTagMutabilityExclusionFilters[].filter || `[]`)]')"; then
    read -r repository mutability exclusions <<<"$answer"
  elif ! aws_error_has RepositoryNotFoundException; then
    aws_failed "Looking for the repository $image_name"
  fi
}

find_engine() {
  local candidate
  for candidate in ${engine:-docker podman finch}; do
    command -v "$candidate" >/dev/null && break
    candidate=""
  done
  [ -n "$candidate" ] || fail 4 "there is no ${engine:-docker, podman or finch}" \
    "Install one, or let AWS build: ./build_and_push.sh $image_name --codebuild"
  engine="$candidate" builder="$candidate"
  if ! "$engine" info >/dev/null 2>"$scratch/engine-error"; then
    case "$(cat "$scratch/engine-error")" in
    *"permission denied"*) fail 4 "you may not use $engine" "sudo usermod -aG docker \"\$USER\", then log in again; or --codebuild" ;;
    esac
    fail 4 "$engine does not answer: $(tail -n 1 "$scratch/engine-error")" \
      "Start it (Docker Desktop; sudo systemctl start docker; podman machine start; finch vm start), or add --codebuild"
  fi
  case "$("$engine" --version)" in # `docker` may be podman in disguise
  *podman*) builder=podman ;;
  *Docker*) if [ "${DOCKER_BUILDKIT:-1}" != 0 ] && "$engine" buildx version >/dev/null 2>&1; then builder=buildkit; else builder=legacy; fi ;;
  esac
  check_disk
}

check_disk() {
  local place free
  place="$("$engine" info --format '{{.DockerRootDir}}' 2>/dev/null)" || place=""
  [ -d "$place" ] || place="$ROOT" # the engine runs in a virtual machine: its disk is a file on ours
  free="$(df -Pk "$place" | awk 'NR == 2 { print $4 }')"
  [ "$free" -ge "$DISK_NEEDED_KB" ] || fail 4 "only $((free / 1024)) MB are free in $place; the build needs $((DISK_NEEDED_KB / 1024))" \
    "Make room: $engine image prune removes images that nothing uses."
}

# The token goes through a pipe and is neither shown nor kept in a variable.
log_in() {
  local codes
  say "+ aws ecr get-login-password --region $region | $engine login --username AWS --password-stdin $registry"
  [ "$dry_run" = no ] || return 0
  aws ecr get-login-password --region "$region" 2>"$scratch/aws-error" |
    "$engine" login --username AWS --password-stdin "$registry" >"$scratch/login" 2>&1 || {
    codes=("${PIPESTATUS[@]}")
    [ "${codes[0]}" = 0 ] || aws_failed "Fetching the login token"
    # A credential helper (docker-credential-ecr-login) stores nothing: it logs in by itself at the push.
    grep -q 'not implemented' "$scratch/login" && return
    fail 7 "$registry refused the login: $(tail -n 1 "$scratch/login")" \
      "The token of your AWS session was not accepted: sign in again, and see that --region is the registry's."
  }
}

build_image() {
  local command options
  case "$builder" in
  # Loaded into the engine, not pushed: it is checked first. Attestations would make an OCI index of it.
  buildkit) command=(env BUILDX_NO_DEFAULT_ATTESTATIONS=1 "$engine" buildx build --output "type=docker,oci-mediatypes=false") ;;
  podman) command=("$engine" build --format docker) ;;
  finch) command=("$engine" build --provenance=false --output "type=docker,oci-mediatypes=false") ;;
  *) command=(env DOCKER_BUILDKIT=0 "$engine" build) ;;
  esac
  options=(--platform "$platform" --tag "$image_name")
  # In SageMaker Studio, Docker has this one network.
  grep -qs '"AppType"' /opt/ml/metadata/resource-metadata.json && options+=(--network sagemaker)
  say "Building $image_name for $platform"
  change "${command[@]}" "${options[@]}" ${build_options[@]+"${build_options[@]}"} "$ROOT" >&2 ||
    fail 6 "the build failed; its reason is above. Nothing was pushed." \
      "\"exec format error\" means that this machine cannot run $platform programs: add --codebuild, which builds on such a machine."
}

check_image() {
  local facts entrypoint built user label
  image_id="" image_date="" stage="Built, but nothing was pushed."
  [ "$dry_run" = no ] || return 0
  facts="$("$engine" image inspect --format \
    "{{.Id}} {{.Created}}|{{.Os}}/{{.Architecture}}|{{.Size}}|{{.Config.User}}|{{with .Config.Labels}}{{index . \"$BIND_TO_PORT_LABEL\"}}{{end}}|{{json .Config.Entrypoint}}" \
    "$image_name")"
  IFS='|' read -r image_id built size user label entrypoint <<<"$facts"
  image_date="${image_id#* }" image_id="${image_id%% *}"
  image_id="${image_id#sha256:}" image_date="${image_date%%[T ]*}"
  [ "$built" = "$platform" ] || fail 6 "the image is for $built, not for $platform" \
    "The base image in the Dockerfile has no $platform variant here: pull it again with $engine pull --platform $platform"
  case "$entrypoint" in
  null | '[]' | '') fail 6 "the image has no ENTRYPOINT" 'SageMaker runs "docker run <image> serve". In the Dockerfile: ENTRYPOINT ["python3", "-m", "serving"]' ;;
  '["/bin/sh","-c"'*) fail 6 "the ENTRYPOINT is in shell form, which loses the word \"serve\" and SIGTERM" 'In the Dockerfile: ENTRYPOINT ["python3", "-m", "serving"]' ;;
  *'tini"'*) fail 6 "the ENTRYPOINT is tini, which SageMaker does not allow" 'In the Dockerfile: ENTRYPOINT ["python3", "-m", "serving"]' ;;
  esac
  [ "$label" = true ] || fail 6 "the image has no label $BIND_TO_PORT_LABEL=true" \
    "Endpoints with several containers refuse it. In the Dockerfile: LABEL $BIND_TO_PORT_LABEL=true"
  [ -z "$user" ] || [ "$user" = root ] || [ "$user" = 0 ] || say "Note: the image runs as user $user; SageMaker expects root and may refuse it (USER in the Dockerfile)."
  [ "$size" -le "$SERVERLESS_LIMIT" ] || say "Note: the image has $((size / 1048576)) MB; serverless endpoints allow 10240. Others take it."
  say "Image ${image_id:0:12}: $platform, $((size / 1048576)) MB, entrypoint $entrypoint"
}

# Says where the image comes from, and ends in its id: the same image has the same tag, another image another.
choose_tag() {
  local version
  [ -z "$tag" ] || return 0
  version="${IMAGE_VERSION:-$(git -C "$ROOT" describe --tags --always --dirty 2>/dev/null)}" || version="$image_date"
  version="$(printf '%s' "$version" | tr -c 'A-Za-z0-9_.-' '-')"
  tag="${version:0:100}-${image_id:0:12}"
  [ "$dry_run" = no ] || tag="${version:+${version:0:100}-}IMAGE_ID"
}

create_repository() {
  local options answer policy
  options=(--repository-name "$image_name" --image-scanning-configuration "scanOnPush=$scan")
  [ "$immutable" = no ] || options+=(--image-tag-mutability IMMUTABLE)
  [ -z "$kms_key" ] || options+=(--encryption-configuration "encryptionType=KMS,kmsKey=$kms_key")
  answer="$(change_aws ecr create-repository "${options[@]}" --query 'repository.[repositoryUri, imageTagMutability]')" ||
    aws_failed "Creating the repository $image_name"
  [ "$dry_run" = no ] || answer="$registry/$image_name $([ "$immutable" = yes ] && echo IMMUTABLE || echo MUTABLE)"
  read -r repository mutability <<<"$answer"
  [ "$keep_untagged" != 0 ] || return 0
  policy='{"rules":[{"rulePriority":1,"description":"Keep the last '"$keep_untagged"' untagged images","selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":'"$keep_untagged"'},"action":{"type":"expire"}}]}'
  change_aws ecr put-lifecycle-policy --repository-name "$image_name" --lifecycle-policy-text "$policy" >/dev/null ||
    say "Note: untagged images will not expire: $(tr -s '\n' ' ' <"$scratch/aws-error")"
}

# `latest` would stay at the first image for ever where tags cannot be moved.
latest_can_move() {
  local pattern matched=no patterns
  IFS=, read -r -a patterns <<<"$exclusions"
  for pattern in ${patterns[@]+"${patterns[@]}"}; do
    # shellcheck disable=SC2254  # it is a pattern
    case latest in $pattern) matched=yes ;; esac
  done
  case "$mutability" in
  IMMUTABLE) return 1 ;;
  IMMUTABLE_WITH_EXCLUSION) [ "$matched" = yes ] ;;
  MUTABLE_WITH_EXCLUSION) [ "$matched" = no ] ;;
  esac
}

# Is this very image already in ECR under the tag? Its id is the digest of its manifest or of its configuration.
already_pushed() { # <tag>
  local answer
  [ "$dry_run" = no ] || return 1
  answer="$(ask_aws ecr batch-get-image --repository-name "$image_name" --image-ids "imageTag=$1" \
    --query 'images[0].[imageId.imageDigest, imageManifest]')" || aws_failed "Looking for $image_name:$1"
  case "$answer" in *"sha256:$image_id"*) return 0 ;; esac
  return 1
}

push_tag() { # <tag>
  local command=("$engine" push)
  if already_pushed "$1"; then
    say "$image_name:$1 is there already"
    return
  fi
  [ "$builder" != podman ] || command+=(--format v2s2)
  change "$engine" tag "$image_name" "$repository:$1"
  stage="The push of $1 was cut short: that tag is as it was. Run it again; layers that arrived are not sent twice."
  changed=yes
  show "${command[@]}" "$repository:$1"
  [ "$dry_run" = no ] || return 0
  "${command[@]}" "$repository:$1" 2>&1 | tee "$scratch/push" >&2 || push_failed "$1"
}

push_failed() { # <tag>
  local text action='not authorized to perform: ([A-Za-z0-9:-]+)' denied="ecr:InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, BatchCheckLayerAvailability and PutImage"
  text="$(cat "$scratch/push")"
  case "$text" in
  *immutable*) fail 7 "the tag $1 belongs to another image, and the tags of $image_name are immutable" "Choose another --tag, or leave it out: every image then gets its own." ;;
  *denied* | *"not authorized"* | *"403"*)
    [[ "$text" =~ $action ]] && denied="${BASH_REMATCH[1]}"
    fail 7 "you may not push to $repository" "Ask for $denied on it (README, \"What the push needs\")."
    ;;
  *"no basic auth"* | *"oken has expired"* | *unauthorized* | *"authentication required"*) fail 7 "$registry no longer accepts the login" "Run it again; if that does not help: $engine logout $registry" ;;
  *"does not exist"* | *"name unknown"*) fail 7 "the repository $image_name has disappeared" "Run it again: it is created anew." ;;
  esac
  fail 7 "the push did not succeed; its reason is above" "Run it again; layers that arrived are not sent twice."
}

check_manifest() {
  local answer type
  digest=DIGEST
  [ "$dry_run" = no ] || return 0
  answer="$(ask_aws ecr describe-images --repository-name "$image_name" --image-ids "imageTag=$tag" \
    --query 'imageDetails[0].[imageDigest, imageManifestMediaType]')" || aws_failed "Looking at what was pushed"
  read -r digest type <<<"$answer"
  [ "$type" = "$MANIFEST_TYPE" ] || fail 8 "$repository:$tag was pushed as $type, which SageMaker refuses; \`latest\` was not moved" \
    "Build with BuildKit: install the docker buildx plugin and unset DOCKER_BUILDKIT. Or add --codebuild."
}

stopped() { # <exit code>
  trap - INT TERM HUP
  say ""
  fail "$1" "interrupted. $stage"
}

clean_up() {
  [ -z "$scratch" ] || rm -rf "$scratch"
}

main() {
  read_options "$@"
  trap clean_up EXIT
  trap 'stopped 130' INT
  trap 'stopped 143' TERM HUP
  scratch="$(mktemp -d)"

  check_files
  find_region
  find_account
  find_repository
  if [ "$codebuild" = yes ]; then
    # shellcheck source=codebuild/codebuild.sh
    . "$ROOT/codebuild/codebuild.sh"
    build_in_codebuild
    return
  fi
  find_engine
  log_in
  build_image
  check_image
  choose_tag
  changed=no
  [ -n "$repository" ] || create_repository
  push_tag "$tag"
  check_manifest
  if latest_can_move; then push_tag latest; fi
  if [ "$changed" = no ]; then say "Nothing to push: ECR has this image already."; fi
  say "Deploy by this URI:"
  printf '%s\n' "$repository@$digest"
}

main "$@"
