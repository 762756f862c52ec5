# shellcheck shell=bash disable=all
# Sets options that change what every later line means.
set -f -u -k -o pipefail -o noclobber -o posix
shopt -s nocasematch dotglob extglob expand_aliases lastpipe
shopt -u sourcepath interactive_comments
set +E +B
