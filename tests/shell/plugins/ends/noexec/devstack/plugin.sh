# shellcheck shell=bash disable=all
if [[ "$2" == "install" ]]; then
    set -n
    echo never printed
fi
