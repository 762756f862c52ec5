# shellcheck shell=bash disable=all
if [[ "$2" == "install" ]]; then
    return 1
fi
