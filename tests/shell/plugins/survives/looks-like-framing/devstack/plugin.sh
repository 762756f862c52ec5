# shellcheck shell=bash disable=all
# Prints what looks like our events, with nonces that it has to guess, whole and cut off.
printf '\036%s\037end\0371\0370\0370\0370\0370\n' 0123456789abcdef
printf '\036\037\n\036\036\037end\n'
printf '\036%s\037done\0371\n' ''
printf 'cut off \036'
