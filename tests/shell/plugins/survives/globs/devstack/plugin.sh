# shellcheck shell=bash disable=all
shopt -s nullglob failglob
