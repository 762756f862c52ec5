# shellcheck shell=bash disable=all
if [[ "$2" == "install" ]]; then
    iniset "$DEST/no-such/some.conf" a b c
    echo never printed
fi
