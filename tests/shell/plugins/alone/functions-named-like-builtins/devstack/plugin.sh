# shellcheck shell=bash disable=all
# Defines functions named like the builtins that we use.
for name in printf read cd mapfile times set trap exec umask shopt local source echo declare test; do
    eval "$name() { return 9; }"
done
