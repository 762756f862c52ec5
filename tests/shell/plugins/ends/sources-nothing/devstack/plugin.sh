# shellcheck shell=bash disable=all
activate() {
    source "$DEST/no-such/bin/activate"
    echo "never printed"
}

if [[ $1 == stack && $2 == install ]]; then
    activate
fi
