# shellcheck shell=bash disable=all
# Makes our locals readonly.
readonly plugin dir mode phase plugins
