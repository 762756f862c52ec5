# shellcheck shell=bash disable=all
# Subshells may exit as they like.
(exit 3) || echo "a subshell exited with $?"
value=$(echo kept; exit 0)
echo "$value"
