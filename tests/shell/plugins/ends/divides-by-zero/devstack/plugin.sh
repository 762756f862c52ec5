# shellcheck shell=bash disable=all
if [[ "$2" == "install" ]]; then
    echo $((1 / 0))
    echo never printed
fi
