# shellcheck shell=bash disable=SC2154
stop_codebuild() { :; }
remove_codebuild_files() { :; }
