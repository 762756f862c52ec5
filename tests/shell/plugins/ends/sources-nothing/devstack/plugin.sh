# A file to source that isn't there ends bash without the ERR trap.
activate() {
    source "$DEST/no-such/bin/activate"
    echo "never printed"
}

if [[ $1 == stack && $2 == install ]]; then
    activate
fi
