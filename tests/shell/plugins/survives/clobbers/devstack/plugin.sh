# shellcheck shell=bash disable=all
# Uses our locals' names for itself.
plugin=nobody dir=/nowhere mode=clean phase=never plugins=none
set -- other arguments
