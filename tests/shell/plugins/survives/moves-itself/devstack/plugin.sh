# shellcheck shell=bash disable=all
# Replaces its own file and directory while it runs.
rm -rf "$DATA_DIR/moved"
mv "$DEST/moves-itself" "$DATA_DIR/moved"
cp -r "$DATA_DIR/moved" "$DEST/moves-itself"
