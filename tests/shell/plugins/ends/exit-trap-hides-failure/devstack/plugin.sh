# shellcheck shell=bash disable=all
if [[ "$2" == "install" ]]; then
    trap 'builtin exit 0' EXIT
    trap - ERR
    false
fi
