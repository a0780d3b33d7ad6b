#!/usr/bin/env bash
# Usage: ./build_and_push.sh <image_name> [option...] [-- <option of the build>...]
#
# Builds the image from the Dockerfile beside this script, checks that SageMaker can run it, and pushes it
# to Amazon ECR in your account. The last line is the URI to deploy: repository@digest. Nothing else is on stdout.
# A second run changes nothing and says so. A failed or interrupted build pushes nothing.
#
#   --region REGION      default: AWS_REGION, AWS_DEFAULT_REGION, then the region of your AWS profile
#   --platform PLATFORM  linux/amd64 (default), or linux/arm64 for endpoints on Graviton instances
#   --tag TAG            default: <git describe, or the date>-<image id>; `latest` is moved too
#   --engine ENGINE      docker, podman or finch; default: the first of them that is installed
#   --dry-run            show every command, and run only those that change nothing
#   --help               show this text
#
# The repository is created if it does not exist, and scans each image that is pushed. For a new repository:
#   --immutable          pushed tags can never be moved; `latest` is then not used
#   --kms-key ARN        encrypt with this KMS key; default: AES-256 with a key of AWS
#   --no-scan            do not scan images
#   --keep-untagged N    keep the last N untagged images, and let older ones expire; default: 10; 0 keeps all
#
# Without a container engine (SageMaker Studio, locked laptops):
#   --codebuild          build and push in AWS CodeBuild, with the same options, and show its log here
#   --bucket BUCKET      put the files of the build here; default: sagemaker-<region>-<account>
#   --codebuild-role ARN run the build as this role; default: a role that is made for this image alone
#   --permissions-boundary ARN  limits the role that is made
#   --pip-secret NAME    the secret in AWS Secrets Manager that holds the pip.conf for private packages
#
# Exit codes:
#   0  pushed, or there was nothing to push          5  AWS: no region, credentials, permission or answer
#   1  an unexpected error                           6  the build failed, or SageMaker could not run the image
#   2  wrong usage                                   7  the registry refused the login or the push
#   3  a file is missing or is not what it must be   8  pushed, but SageMaker would refuse the manifest
#   4  no container engine, or no disk space       130  interrupted (143: terminated)
case "${BASH_VERSION:-}:${SHELLOPTS:-}" in :* | *posix*) exec bash +o posix "$0" "$@" ;; esac # `sh script` works too
set -euo pipefail
trap 'exit 130' INT # until more is to be done than that

ROOT="$(at="$0" && while [ -L "$at" ]; do cd -P "$(dirname "$at")" && at="$(readlink "$(basename "$at")")"; done && cd -P "$(dirname "$at")" && pwd)"
# The only kind of manifest that SageMaker hosts. It refuses OCI manifests and indexes when the model is created.
MANIFEST_TYPE=application/vnd.docker.distribution.manifest.v2+json
export AWS_PAGER="" # CLI v2 would open one

image_name="" region="" platform=linux/amd64 tag="" engine="" dry_run=no
immutable=no kms_key="" scan=true keep_untagged=10
codebuild=no bucket="" codebuild_role="" boundary="" pip_secret=""
build_options=()
state="Nothing was built or pushed." # what is true if we stop now
scratch="" changed=no leave_login=yes

# shellcheck source=push/attended.sh
. "$ROOT/push/attended.sh"
ATTENDED_SAYS_AFTER=5 ATTENDED_SAYS_EVERY=10 # the builder's and the push's own words are shown too
# shellcheck source=push/building.sh
. "$ROOT/push/building.sh"
# shellcheck source=push/checks.sh
. "$ROOT/push/checks.sh"
# shellcheck source=push/repair.sh
. "$ROOT/push/repair.sh"
# shellcheck source=push/remedies.sh
. "$ROOT/push/remedies.sh"
# shellcheck source=push/codebuild.sh
. "$ROOT/push/codebuild.sh"

say() {
  printf '%s\n' "$*" >&2
}

fail() { # <exit code> <what is wrong> [<what to do>...]
  local code="$1"
  printf 'build_and_push: %s\n' "$2" >&2
  shift 2
  [ $# = 0 ] || printf '  → %s\n' "$@" >&2
  exit "$code"
}

show() { # <command>...: in a form that can be pasted into a shell
  local word
  printf '+' >&2
  for word in "$@"; do
    case "$word" in
      *\'*) printf ' %q' "$word" >&2 ;;
      '' | *[!A-Za-z0-9_./:=@,+-]*) printf " '%s'" "$word" >&2 ;;
      *) printf ' %s' "$word" >&2 ;;
    esac
  done
  printf '\n' >&2
}

# Runs a command that changes something; a dry run only shows it.
change() {
  show "$@"
  [ "$dry_run" = yes ] || "$@"
}

# Asks AWS something. The answer is on stdout, an error text in $scratch/aws-error.
ask_aws() {
  [ "$dry_run" = no ] || show aws "$@" --region "$region" --output text
  aws "$@" --region "$region" --output text 2>"$scratch/aws-error"
}

# The same for what changes something in the account; a dry run only shows it.
change_aws() {
  show aws "$@" --region "$region" --output text
  [ "$dry_run" = yes ] || aws "$@" --region "$region" --output text 2>"$scratch/aws-error"
}

read_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --region | --platform | --tag | --engine | --kms-key | --keep-untagged | --bucket | --codebuild-role | --permissions-boundary | --pip-secret)
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
      --permissions-boundary) boundary="$2" && shift ;;
      --pip-secret) pip_secret="$2" && shift ;;
      --immutable) immutable=yes ;;
      --no-scan) scan=false ;;
      --codebuild) codebuild=yes ;;
      --dry-run) dry_run=yes ;;
      -h | --help) awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "${BASH_SOURCE[0]}" && exit 0 ;;
      --) shift && build_options=("$@") && return ;;
      -*) fail 2 "there is no option $1" "See --help. Options of the build itself come after --" ;;
      *)
        [ -z "$image_name" ] || fail 2 "one image name, not two: $image_name and $1" "See --help."
        image_name="$1"
        ;;
    esac
    shift
  done
}

find_region() {
  command -v aws >/dev/null || fail 5 "the AWS CLI is not installed" "https://aws.amazon.com/cli/"
  region="${region:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}"
  [ -n "$region" ] || region="$(aws configure get region 2>/dev/null)" || true
  [ -n "$region" ] || fail 5 "no region is set" "Add --region us-east-1 (or yours), or set AWS_REGION, or run: aws configure"
  # It goes into policies and host names.
  [[ "$region" =~ ^[a-z]{2,}(-[a-z]+)+-[0-9]+$ ]] || fail 2 "\"$region\" is not the name of a region" "Such as eu-west-1."
}

find_account() {
  local answer
  answer="$(ask_aws sts get-caller-identity --query '[Account, Arn]')" || aws_failed "Finding out who you are"
  read -r account identity <<<"$answer"
  say "Account $account, region $region, as $identity"
}

# The names of the registry and of the repository are AWS's answers: their endings differ in China, GovCloud
# and other partitions.
find_repository() {
  # shellcheck disable=SC2016 # JMESPath writes literals in backticks
  local answer filters='join(`,`, imageTagMutabilityExclusionFilters[].filter || `[]`)'
  repository="" mutability="" exclusions=""
  answer="$(ask_aws ecr get-authorization-token --query 'authorizationData[0].proxyEndpoint')" || aws_failed "Asking for a login to ECR"
  registry="${answer#https://}"
  if answer="$(ask_aws ecr describe-repositories --repository-names "$image_name" \
    --query "repositories[0].[repositoryUri, imageTagMutability, $filters]")"; then
    read -r repository mutability exclusions <<<"$answer"
  elif ! grep -q RepositoryNotFoundException "$scratch/aws-error"; then
    aws_failed "Looking for the repository $image_name"
  fi
}

# The token goes through a pipe; it is neither shown nor kept.
log_in() {
  local codes
  if ! has_login; then leave_login=no; fi
  say "+ aws ecr get-login-password --region $region | $engine login --username AWS --password-stdin $registry"
  [ "$dry_run" = no ] || return 0
  aws ecr get-login-password --region "$region" 2>"$scratch/aws-error" |
    "$engine" login --username AWS --password-stdin "$registry" >"$scratch/login" 2>&1 || {
    codes=("${PIPESTATUS[@]}")
    [ "${codes[0]}" = 0 ] || aws_failed "Fetching the login token"
    login_failed
  }
}

# Whether the engine knows the registry already: then its login is yours, and stays.
has_login() {
  if [ "$builder" = podman ]; then
    "$engine" login --get-login "$registry" >/dev/null 2>&1
  else
    grep -qs "\"$registry\"" "${DOCKER_CONFIG:-$HOME/.docker}/config.json"
  fi
}

# The image is loaded into the engine, not pushed from the builder: it is checked first. Attestations are off,
# because they turn an image into an OCI index.
build_image() {
  local command options
  case "$builder" in
    buildkit) command=(env BUILDX_NO_DEFAULT_ATTESTATIONS=1 "$engine" buildx build --output "type=docker,oci-mediatypes=false") ;;
    podman) command=("$engine" build --format docker) ;;
    finch) command=("$engine" build --provenance=false --output "type=docker,oci-mediatypes=false") ;;
    *) command=(env DOCKER_BUILDKIT=0 "$engine" build) ;;
  esac
  options=(--platform "$platform" --tag "$image_name")
  # The one network that Docker has in SageMaker Studio.
  if grep -qs '"AppType"' /opt/ml/metadata/resource-metadata.json; then options+=(--network sagemaker); fi
  say "Building $image_name for $platform"
  set_build_arguments "$builder" "$ROOT" "$scratch"
  options+=(${build_arguments[@]+"${build_arguments[@]}"} ${build_options[@]+"${build_options[@]}"})
  show "${command[@]}" "${options[@]}" "$ROOT"
  command+=(--iidfile "$scratch/image-id" "${options[@]}" "$ROOT")
  built_image="$image_name"
  [ "$dry_run" = yes ] || attend "" "building" "${command[@]}" >&2 || build_failed
  # By its id: another build may move the name before this one is pushed.
  if "$engine" image inspect "$(cat "$scratch/image-id" 2>/dev/null)" >/dev/null 2>&1; then
    built_image="$(cat "$scratch/image-id")"
  fi
  state="Built, but nothing was pushed."
}

# A tag says where the image comes from and ends in its id: the same image has the same tag, another image another.
choose_tag() {
  local version
  [ -z "$tag" ] || return 0
  version="${SOURCE_VERSION:-$(git -C "$ROOT" describe --tags --always --dirty 2>/dev/null)}" || version="$image_date"
  version="$(printf '%s' "$version" | tr -c 'A-Za-z0-9_.-' '-')"
  tag="${version:0:100}-${image_id:0:12}"
}

create_repository() {
  local options answer policy
  options=(--repository-name "$image_name" --image-scanning-configuration "scanOnPush=$scan")
  if [ "$immutable" = yes ]; then options+=(--image-tag-mutability IMMUTABLE) mutability=IMMUTABLE; fi
  [ -z "$kms_key" ] || options+=(--encryption-configuration "encryptionType=KMS,kmsKey=$kms_key")
  answer="$(change_aws ecr create-repository "${options[@]}" --query 'repository.[repositoryUri, imageTagMutability]')" ||
    aws_failed "Creating the repository $image_name"
  repository="$registry/$image_name" # as far as a dry run can know
  [ "$dry_run" = yes ] || read -r repository mutability <<<"$answer"
  [ "$keep_untagged" != 0 ] || return 0
  policy='{"rules":[{"rulePriority":1,"description":"Keep the last '"$keep_untagged"' untagged images","selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":'"$keep_untagged"'},"action":{"type":"expire"}}]}'
  change_aws ecr put-lifecycle-policy --repository-name "$image_name" --lifecycle-policy-text "$policy" >/dev/null ||
    say "Note: untagged images will not expire: $(tr -s '\n' ' ' <"$scratch/aws-error")"
}

# Is this very image in ECR under the tag? An image's id is the digest of its manifest or of its configuration. Of what
# was written anew it is neither: then a tag that was chosen here tells, because it ends in the id.
already_pushed() {
  local answer
  [ "$dry_run" = no ] || return 1
  answer="$(ask_aws ecr batch-get-image --repository-name "$image_name" --image-ids "imageTag=$tag" \
    --query 'images[0].[imageId.imageDigest, imageManifest]')" || aws_failed "Looking for $image_name:$tag"
  case "$answer:$tag" in
    None*) return 1 ;;
    *"sha256:$image_id"* | *"-${image_id:0:12}") return 0 ;;
  esac
  return 1
}

push_tag() {
  local command
  if already_pushed; then
    say "$image_name:$tag is there already"
    return
  fi
  command=("$engine" push)
  [ "$builder" != podman ] || command+=(--format v2s2)
  show "$engine" tag "$image_name" "$repository:$tag"
  [ "$dry_run" = yes ] || "$engine" tag "$built_image" "$repository:$tag"
  state="The push of $tag was cut short; that tag is as it was. Run it again: layers that arrived are not sent twice."
  show "${command[@]}" "$repository:$tag"
  [ "$dry_run" = no ] || return 0
  attend "" "pushing" push_and_note "${command[@]}" "$repository:$tag" || push_failed "$tag"
  changed=yes
}

# `latest` gets the manifest that the tag has by now: the engine might push one of another type.
move_latest() {
  local there="" manifest=""
  [ "$dry_run" = yes ] || there="$(ask_aws ecr describe-images --repository-name "$image_name" --image-ids imageTag=latest \
    --query 'imageDetails[0].imageDigest')" || grep -q ImageNotFound "$scratch/aws-error" || aws_failed "Looking for $image_name:latest"
  if [ "$there" = "$digest" ]; then
    say "$image_name:latest is there already"
    return
  fi
  [ "$dry_run" = yes ] || manifest="$(manifest_of "imageTag=$tag")" || aws_failed "Reading the manifest of $tag"
  printf '%s' "$manifest" >"$scratch/manifest" # byte by byte, so that it is the same image
  put_manifest latest || aws_failed "Moving latest"
  changed=yes
}

push_and_note() { # <command>...
  "$@" 2>&1 | tee "$scratch/push" >&2
}

# `latest` would stay at the first image for ever where tags cannot be moved.
latest_can_move() {
  local pattern patterns excluded=no
  IFS=, read -r -a patterns <<<"$exclusions"
  for pattern in ${patterns[@]+"${patterns[@]}"}; do
    # shellcheck disable=SC2053 # the right side is a pattern
    if [[ latest == $pattern ]]; then excluded=yes; fi
  done
  case "$mutability-$excluded" in
    IMMUTABLE-* | IMMUTABLE_WITH_EXCLUSION-no | MUTABLE_WITH_EXCLUSION-yes) return 1 ;;
  esac
}

stopped() { # <exit code>
  trap '' INT TERM HUP
  end_attended
  stop_codebuild || state="The build goes on: aws codebuild stop-build --id $build_id --region $region"
  fail "$1" "interrupted. $state"
}

clean_up() {
  [ "$leave_login" = yes ] || "$engine" logout "$registry" >/dev/null 2>&1 || true
  remove_codebuild_files
  [ -z "$scratch" ] || rm -rf "$scratch"
}

main() {
  read_options "$@"
  check_options
  trap clean_up EXIT
  trap 'stopped 130' INT
  trap 'stopped 143' TERM HUP
  scratch="${TMPDIR:-/tmp}/build_and_push-$$-$RANDOM" # named before it is made: Ctrl-C may come between
  mkdir -m 700 "$scratch"

  check_files
  find_region
  find_account
  find_repository
  if [ "$codebuild" = yes ]; then
    build_in_codebuild
    return
  fi
  find_engine
  check_disk
  log_in
  build_image
  check_image
  choose_tag
  [ -n "$repository" ] || create_repository
  push_tag
  check_manifest
  if latest_can_move; then move_latest; fi
  if [ "$changed" = no ] && [ "$dry_run" = no ]; then say "Nothing to push: ECR has this image already."; fi
  say "Deploy by:"
  printf '%s\n' "$repository@$digest"
}

main "$@"
