# shellcheck shell=bash disable=all
# Makes something else stdin, so that later reads would not end.
exec <"$BASH_SOURCE"
