# shellcheck shell=bash disable=all
# Reads stdin, alone and through a child.
if read -r line; then echo "read a line: $line"; else echo "read the end of file"; fi
echo "cat read '$(cat)'"
