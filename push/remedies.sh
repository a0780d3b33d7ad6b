# shellcheck shell=bash disable=SC2154 # the variables are those of build_and_push.sh, which reads this file
#
# What an error text of AWS, of the engine or of the registry means, and what to do about it.

NOT_AUTHORIZED='not authorized to perform: ([A-Za-z0-9:-]+)'

aws_failed() { # <what was tried>
  local text remedy
  text="$(tr -s '\n' ' ' <"$scratch/aws-error")"
  case "$text" in
    *AssumeRole*) remedy="Your profile assumes a role that does not exist or does not trust you: role_arn in ~/.aws/config." ;;
    *"not authorized to perform"* | *AccessDenied*)
      [[ "$text" =~ $NOT_AUTHORIZED ]] || BASH_REMATCH=("" "this permission")
      remedy="Ask your administrator for ${BASH_REMATCH[1]} on $image_name. All that is needed: push/push-policy.json"
      ;;
    *"Unable to locate credentials"* | *NoCredentials*) remedy="Sign in: aws configure, or aws sso login, or set AWS_PROFILE." ;;
    *[Ee]xpired*) remedy="Your session has ended. Sign in again: aws sso login, or fetch new keys." ;;
    *profile*"could not be found"*) remedy="AWS_PROFILE names no profile of yours. They are: aws configure list-profiles" ;;
    *InvalidClientTokenId* | *UnrecognizedClient* | *SignatureDoesNotMatch* | *"security token"*)
      remedy="The keys are wrong, or of another partition (China and GovCloud have their own): aws configure"
      ;;
    *"Could not connect"* | *"Invalid endpoint"* | *"does not exist in region"*)
      remedy="Is \"$region\" the name of a region, and can this machine reach AWS (proxy, VPN)?"
      ;;
    *"nvalid choice"*) remedy="This AWS CLI is too old. Install version 2: https://aws.amazon.com/cli/" ;;
    *) remedy="Add --dry-run to see the commands, and run this one by hand." ;;
  esac
  fail 5 "$1 failed: $text" "$remedy"
}

engine_failed() {
  local text
  text="$(tail -n 1 "$scratch/engine-error")"
  case "$text" in
    *"permission denied"*) fail 4 "you may not use $engine: $text" "sudo usermod -aG docker \"\$USER\", then log in again. Or add --codebuild." ;;
  esac
  fail 4 "$engine does not answer: $text" \
    "Start it: Docker Desktop, sudo systemctl start docker, podman machine start, or finch vm start. Or add --codebuild."
}

login_failed() {
  # A credential helper such as docker-credential-ecr-login stores nothing: it logs in by itself at the push.
  if grep -q 'not implemented' "$scratch/login"; then return; fi
  fail 7 "$registry refused the login: $(tail -n 1 "$scratch/login")" \
    "Sign in to AWS again. An old entry may be in the way: $engine logout $registry"
}

build_failed() {
  fail 6 "the build failed; its reason is above. Nothing was pushed." \
    "\"exec format error\" means that this machine cannot run $platform programs: add --codebuild, where it can."
}

push_failed() { # <tag>
  local text
  text="$(cat "$scratch/push")"
  case "$text" in
    *immutable*)
      fail 7 "the tag $1 belongs to another image, and tags of $image_name are immutable" \
        "Choose another --tag, or leave it out: every image then has a tag of its own."
      ;;
    *denied* | *"not authorized"* | *Forbidden*)
      [[ "$text" =~ $NOT_AUTHORIZED ]] || BASH_REMATCH=("" "the right to push")
      case "$image_name" in
        *sagemaker*) set -- ;;
        *) set -- "In SageMaker Studio you may push only to names with \"sagemaker\" in them: ./build_and_push.sh sagemaker-$image_name" ;;
      esac
      fail 7 "you may not push to $repository" "$@" \
        "Ask your administrator for ${BASH_REMATCH[1]} on it. All that is needed: push/push-policy.json"
      ;;
    *"no basic auth"* | *"oken has expired"* | *unauthorized* | *"authentication required"*)
      fail 7 "$registry does not accept the login any more" "Run it again. If that does not help: $engine logout $registry"
      ;;
    *"does not exist"* | *"name unknown"*) fail 7 "the repository $image_name has disappeared" "Run it again: it is made anew." ;;
    *"no space left"*) fail 4 "the disk is full" "Make room, and run it again." ;;
  esac
  fail 7 "the push of $1 failed; its reason is above" "Run it again: layers that arrived are not sent twice."
}
