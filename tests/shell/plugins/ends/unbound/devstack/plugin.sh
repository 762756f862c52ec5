# shellcheck shell=bash disable=all
if [[ "$2" == "install" ]]; then
    set -u
    echo "$no_such_variable"
fi
