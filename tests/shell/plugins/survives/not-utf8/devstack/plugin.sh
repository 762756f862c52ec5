# shellcheck shell=bash disable=all
# Prints bytes that are no UTF-8, a NUL among them, and leaves its last line unfinished.
printf '\xff\xfe\x00\xc3( caf\xe9\nunfinished'
