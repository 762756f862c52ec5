# shellcheck shell=bash disable=all
# Sends all later output of the shell elsewhere.
exec >"$DATA_DIR/stolen" 2>&1 3>&1 6>&1
echo hidden
