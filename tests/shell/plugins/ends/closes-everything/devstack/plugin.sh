# shellcheck shell=bash disable=all
if [[ "$2" == "install" ]]; then
    for fd in {3..255}; do eval "exec $fd>&-"; done
fi
