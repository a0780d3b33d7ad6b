# shellcheck shell=bash disable=SC2034,SC2154 # the variables are those of build_and_push.sh, which reads this file
#
# The way without a container engine: AWS CodeBuild runs the same script, with the same options, on its own machine.
# An image has one role, which may push this image and nothing else, and one project; both stay and cost nothing.
# The files in S3 are removed when the build has ended; an interrupted build is stopped.

build_variables=()
build_id="" files_uri="" files_digest=""

build_in_codebuild() {
  project="build-and-push-$(printf '%s' "${image_name:0:36}" | tr '/.' '--')-$(printf '%s' "$image_name" | cksum | cut -d ' ' -f 1)"
  [ -z "$kms_key" ] || [ -n "$repository" ] || [ -n "$codebuild_role" ] ||
    fail 2 "with --codebuild, --kms-key needs a --codebuild-role that may use the key" "Or make the repository first: aws ecr create-repository"
  choose_packages
  find_bucket
  upload_files
  [ -n "$codebuild_role" ] || make_role
  make_project
  start_build
  [ "$dry_run" = yes ] || follow_build
}

# Where packages come from goes with the call. A password would be kept in the record of the build: a secret is named.
choose_packages() {
  local name
  for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL; do
    case "${!name:-}" in
      "") ;;
      *://*@* | *,*) fail 2 "$name holds a password or a comma, which --codebuild does not take" \
        "Put a pip.conf into AWS Secrets Manager and name it: --pip-secret NAME" ;;
      *) build_variables+=("name=$name,value=${!name}") ;;
    esac
  done
  [ -z "$pip_secret" ] || build_variables+=("name=PIP_CONF,value=$pip_secret,type=SECRETS_MANAGER")
}

find_bucket() {
  local options
  bucket="${bucket:-sagemaker-$region-$account}"
  # With its owner, because anybody may have taken the name.
  ask_aws s3api head-bucket --bucket "$bucket" --expected-bucket-owner "$account" >/dev/null && return
  grep -qE '404|Not Found' "$scratch/aws-error" || fail 5 "the bucket $bucket is not yours, or you may not use it" "Name another: --bucket"
  options=(--bucket "$bucket")
  [ "$region" = us-east-1 ] || options+=(--create-bucket-configuration "LocationConstraint=$region")
  change_aws s3api create-bucket "${options[@]}" >/dev/null || aws_failed "Making the bucket $bucket"
  options=(--bucket "$bucket" --expected-bucket-owner "$account")
  change_aws s3api put-public-access-block "${options[@]}" --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true >/dev/null ||
    aws_failed "Closing the bucket $bucket to the public"
  change_aws s3api put-bucket-policy "${options[@]}" --policy "$(fill_in bucket-policy.json)" >/dev/null ||
    aws_failed "Closing the bucket $bucket to plain HTTP"
}

# One archive, which keeps what may be executed. What is to be done with it, and its digest, do not lie beside it: they go
# with the call that starts the build, so that nobody who may write to the bucket can change what is built.
upload_files() {
  local version
  mkdir -p "$scratch/command" "$scratch/files"
  version="$(git -C "$ROOT" describe --tags --always --dirty 2>/dev/null)" || version=""
  printf 'SOURCE_VERSION=%q exec ./build_and_push.sh' "$version" >"$scratch/command/command"
  printf ' %q' "$image_name" --region "$region" --platform "$platform" ${tag:+--tag "$tag"} --engine docker \
    --keep-untagged "$keep_untagged" ${kms_key:+--kms-key "$kms_key"} >>"$scratch/command/command"
  if [ "$immutable" = yes ]; then printf ' --immutable' >>"$scratch/command/command"; fi
  if [ "$scan" = false ]; then printf ' --no-scan' >>"$scratch/command/command"; fi
  printf ' %q' -- ${build_options[@]+"${build_options[@]}"} >>"$scratch/command/command"
  list_files
  COPYFILE_DISABLE=1 tar -czf "$scratch/files/files.tar.gz" "${never[@]}" -C "$scratch/command" command -C "$ROOT" "${files[@]}"
  files_digest="$(digest_of "$scratch/files/files.tar.gz")"
  say "Sending $(($(wc -c <"$scratch/files/files.tar.gz") / 1024 + 1)) KB to $bucket"
  files_uri="s3://$bucket/build_and_push/$image_name/$(date -u +%Y%m%dT%H%M%SZ)-$$"
  change_aws s3 cp "$scratch/files" "$files_uri" --recursive --only-show-errors || aws_failed "Sending the files"
}

digest_of() { # <file>
  { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | cut -d ' ' -f 1
}

# What the build can see: all, or what a .dockerignore that begins with "*" lets through. What .dockerignore keeps out of
# the image wherever it lies (**/NAME) is never sent.
list_files() {
  local line
  files=(.)
  never=(--exclude=.git --exclude=__pycache__ --exclude=.venv --exclude=venv)
  while IFS= read -r line; do
    never+=("--exclude=$line")
  done < <(sed -n 's/[[:space:]]*$//; s/^\*\*\///p' "$ROOT/.dockerignore" 2>/dev/null)
  [ "$(head -n 1 "$ROOT/.dockerignore" 2>/dev/null)" = '*' ] || return 0
  files=(.dockerignore Dockerfile build_and_push.sh push)
  while IFS= read -r line; do
    line="${line%%/\**}"
    if [ -e "$ROOT/$line" ]; then files+=("$line"); fi
  done < <(sed -n 's/^!\/*//p' "$ROOT/.dockerignore")
}

fill_in() { # <file of push/>: prints where it is with the names filled in
  sed -e "s|PARTITION|$(printf '%s' "$identity" | cut -d : -f 2)|g" -e "s|ACCOUNT|$account|g" -e "s|REGION|$region|g" \
    -e "s|BUCKET|$bucket|g" -e "s|IMAGE_NAME|$image_name|g" -e "s|PROJECT|$project|g" -e "s|PIP_SECRET|$(secret_arn)|g" "$ROOT/push/$1" >"$scratch/$1"
  printf 'file://%s' "$scratch/$1"
}

# Secrets Manager adds six characters of its own to a name.
secret_arn() {
  case "$pip_secret" in
    arn:*) printf '%s' "$pip_secret" ;;
    *) printf 'arn:%s:secretsmanager:%s:%s:secret:%s-??????' "$(printf '%s' "$identity" | cut -d : -f 2)" "$region" "$account" "$pip_secret" ;;
  esac
}

make_role() {
  local policy
  if ! codebuild_role="$(ask_aws iam get-role --role-name "$project" --query Role.Arn)"; then
    grep -q NoSuchEntity "$scratch/aws-error" || aws_failed "Looking for the role $project (or name one: --codebuild-role)"
    codebuild_role="$(change_aws iam create-role --role-name "$project" --query Role.Arn ${boundary:+--permissions-boundary "$boundary"} \
      --assume-role-policy-document "$(fill_in codebuild-trust.json)")" || aws_failed "Making the role $project (or name one: --codebuild-role)"
    [ "$dry_run" = no ] || codebuild_role=ROLE
  fi
  for policy in push-policy codebuild-policy ${pip_secret:+secret-policy}; do
    change_aws iam put-role-policy --role-name "$project" --policy-name "$policy-$region" \
      --policy-document "$(fill_in "$policy.json")" >/dev/null || aws_failed "Setting the policy of the role $project"
  done
}

make_project() {
  local verb=create-project machine attempt
  case "$platform" in
    linux/arm64) machine=type=ARM_CONTAINER,image=aws/codebuild/amazonlinux-aarch64-standard:3.0 ;;
    *) machine=type=LINUX_CONTAINER,image=aws/codebuild/amazonlinux-x86_64-standard:5.0 ;;
  esac
  if [ "$(ask_aws codebuild batch-get-projects --names "$project" --query 'projects[0].name')" = "$project" ]; then verb=update-project; fi
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    change_aws codebuild "$verb" --name "$project" --service-role "$codebuild_role" --source "type=S3,location=${files_uri#s3://}/" \
      --artifacts type=NO_ARTIFACTS --environment "$machine,computeType=BUILD_GENERAL1_SMALL,privilegedMode=true" \
      --timeout-in-minutes 60 --query project.name >/dev/null && return
    # A new role takes some seconds to be known everywhere.
    grep -qE 'sts:AssumeRole|[Rr]ole' "$scratch/aws-error" || break
    say "The role is not known to CodeBuild yet ($attempt)"
    sleep 3
  done
  aws_failed "Setting up the CodeBuild project $project"
}

# The token makes of all that the CLI tries again one build.
start_build() {
  build_id="$(change_aws codebuild start-build --project-name "$project" --source-location-override "${files_uri#s3://}/" \
    --buildspec-override "file://$ROOT/push/buildspec.yml" --query build.id --idempotency-token "${files_uri##*/}" \
    --environment-variables-override "name=FILES_DIGEST,value=$files_digest" ${build_variables[@]+"${build_variables[@]}"})" || {
    grep -qE 'not authorized|AccessDenied|[Ee]xpired' "$scratch/aws-error" ||
      say "If it was started all the same, you see it by: aws codebuild list-builds-for-project --project-name $project --region $region"
    aws_failed "Starting the build"
  }
  state="The build in CodeBuild was stopped."
}

follow_build() {
  local answer status group stream image reason unanswered=0
  log_token=""
  say "Build $build_id; its log:"
  while :; do
    answer="$(ask_aws codebuild batch-get-builds --ids "$build_id" --query "builds[0].[buildStatus, logs.groupName,
      logs.streamName, exportedEnvironmentVariables[?name=='IMAGE_URI'].value | [0], phases[?phaseStatus=='FAILED'].contexts[0].message | [0]]")" || {
      # A network that fails for a moment does not end a build of many minutes.
      unanswered=$((unanswered + 1))
      [ $unanswered -lt 6 ] || give_build_up
      sleep 5
      continue
    }
    unanswered=0
    IFS=$'\t' read -r status group stream image reason <<<"$answer"
    show_log "$group" "$stream"
    [ "$status" = IN_PROGRESS ] || break
    sleep 5
  done
  build_id=""
  [ "$status" = SUCCEEDED ] || fail 6 "the build in CodeBuild ended as $status: $reason" "Its log is above. Nothing runs any more."
  say "Deploy by:"
  printf '%s\n' "$image"
}

give_build_up() {
  local asked=1
  cp "$scratch/aws-error" "$scratch/poll-error"
  stop_codebuild || asked=0
  cp "$scratch/poll-error" "$scratch/aws-error"
  if [ $asked = 1 ]; then
    state="The build was stopped."
  else
    state="The build goes on: aws codebuild stop-build --id $build_id --region $region"
  fi
  say "$state"
  aws_failed "Asking for the state of the build"
}

show_log() { # <group> <stream>: what is new in it
  local page token
  [ "$2" != None ] || return 0
  while page="$(ask_aws logs get-log-events --log-group-name "$1" --log-stream-name "$2" --start-from-head \
    ${log_token:+--next-token "$log_token"} --query '[[nextForwardToken], events[].[message]][]')"; do
    token="${page%%$'\n'*}"
    [ "$token" != "$log_token" ] || return 0
    log_token="$token"
    printf '%s\n' "$page" | sed -e 1d -e '/^$/d' >&2
  done
  grep -q ResourceNotFound "$scratch/aws-error" || say "Note: the log cannot be read: $(tr -s '\n' ' ' <"$scratch/aws-error")"
}

stop_codebuild() {
  [ -z "$build_id" ] || change_aws codebuild stop-build --id "$build_id" --query build.id >/dev/null
}

remove_codebuild_files() {
  [ -z "$files_uri" ] || change_aws s3 rm "$files_uri" --recursive --only-show-errors || say "Note: $files_uri is left in S3."
}
