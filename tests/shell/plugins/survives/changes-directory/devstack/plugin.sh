# shellcheck shell=bash disable=all
# Ends in a directory that is gone.
mkdir "$DATA_DIR/gone"
cd "$DATA_DIR/gone"
rmdir "$DATA_DIR/gone"
pushd / >/dev/null
pushd "$HOME" >/dev/null
