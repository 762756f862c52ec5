# shellcheck shell=bash disable=all
if [[ "$2" == "install" ]]; then
    exit 3
fi
