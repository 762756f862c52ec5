# shellcheck shell=bash disable=all
# Unsets DevStack's locals, twice, so that the callers' are hit as well.
unset plugin dir mode phase plugins
unset plugin dir mode phase plugins
