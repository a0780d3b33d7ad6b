# shellcheck shell=bash disable=SC2034,SC2154 # the variables are those of build_and_push.sh, which reads this file
#
# An engine with containerd's image store (Docker 29, Docker Desktop) pushes an OCI manifest, or an index of one, which
# SageMaker does not host. Its layers and its configuration are the same bytes as Docker's: only their types in the
# manifest are others. So the manifest is written anew with Docker's types and put under the same tag. No layer is sent.

OCI_TYPES=(application/vnd.oci.image.manifest.v1+json application/vnd.oci.image.index.v1+json
  application/vnd.docker.distribution.manifest.list.v2+json "$MANIFEST_TYPE")

# Puts the repaired manifest under the tag. Fails where it cannot: $scratch/aws-error then says why.
repair_manifest() { # <type that arrived>
  local manifest child=""
  manifest="$(manifest_of "imageTag=$tag")" || return
  case "$1" in
    *index* | *manifest.list*)
      child="$(child_of "$manifest")"
      [ -n "$child" ] || { cannot_repair "its index names no image for $platform" && return 1; }
      manifest="$(manifest_of "imageDigest=$child")" || return
      ;;
  esac
  case "$manifest" in
    *tar+zstd*) cannot_repair "its layers are compressed with zstd: leave compression=zstd away" && return 1 ;;
    "{"*) ;;
    *) cannot_repair "ECR does not have the manifest ${child:-$tag}" && return 1 ;;
  esac
  printf '%s' "$manifest" | with_docker_types >"$scratch/manifest"
  say "The engine pushed $1; its manifest is written anew with the types that SageMaker hosts"
  put_manifest "$tag"
}

cannot_repair() { # <why>
  printf '%s' "$1" >"$scratch/aws-error"
}

put_manifest() { # <tag>
  local options=(--repository-name "$image_name" --image-tag "$1" --image-manifest-media-type "$MANIFEST_TYPE" --region "$region" --output text)
  show aws ecr put-image "${options[@]}" --image-manifest MANIFEST
  [ "$dry_run" = no ] || return 0
  aws ecr put-image "${options[@]}" --image-manifest "file://$scratch/manifest" >/dev/null 2>"$scratch/aws-error" ||
    grep -q ImageAlreadyExists "$scratch/aws-error"
}

manifest_of() { # <image id as ECR takes it>
  ask_aws ecr batch-get-image --repository-name "$image_name" --image-ids "$1" \
    --accepted-media-types "${OCI_TYPES[@]}" --query 'images[0].imageManifest'
}

# The digest of the one manifest of an index that is for our platform; attestations are for platform "unknown".
child_of() { # <index>
  printf '%s' "$1" | tr -d ' \t\r\n' | awk -v architecture="\"architecture\":\"${platform#linux/}\"" '
    BEGIN { RS = "}" } # each record ends with an object, such as the platform of an entry
    match($0, /"digest":"sha256:[0-9a-f]+/) { digest = substr($0, RSTART + 10, RLENGTH - 10) }
    index($0, architecture) && index($0, "\"os\":\"linux\"") { print digest; exit }'
}

with_docker_types() {
  sed -e "s#application/vnd.oci.image.manifest.v1+json#$MANIFEST_TYPE#g" \
    -e 's#application/vnd.oci.image.config.v1+json#application/vnd.docker.container.image.v1+json#g' \
    -e 's#application/vnd.oci.image.layer.v1.tar+gzip#application/vnd.docker.image.rootfs.diff.tar.gzip#g' \
    -e 's#application/vnd.oci.image.layer.v1.tar"#application/vnd.docker.image.rootfs.diff.tar"#g' |
    if_without_type
}

# OCI lets the type of the manifest itself away; Docker does not.
if_without_type() {
  local text
  text="$(cat)"
  case "$text" in
    *"$MANIFEST_TYPE"*) printf '%s' "$text" ;;
    *) printf '{"mediaType":"%s",%s' "$MANIFEST_TYPE" "${text#*\{}" ;;
  esac
}
