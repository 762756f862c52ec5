# shellcheck shell=bash disable=all
