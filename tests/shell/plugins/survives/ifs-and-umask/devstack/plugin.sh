# shellcheck shell=bash disable=all
IFS=,
umask 0777
