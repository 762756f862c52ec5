# shellcheck shell=bash disable=all
# Leaves tracing on, with a prompt that fails and forks.
PS4='$(false)+ '
set -x -v
