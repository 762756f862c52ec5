# shellcheck shell=bash disable=all
# Changes to a locale that writes decimals with a comma, if there is one.
export LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 LC_NUMERIC=de_DE.UTF-8 2>/dev/null
