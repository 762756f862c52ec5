# shellcheck shell=bash disable=all
# Unsets all of our variables that can be unset, and bash's clock.
for name in ${!_asyncstack@}; do
    unset "$name" 2>/dev/null || true
done
unset EPOCHREALTIME name
