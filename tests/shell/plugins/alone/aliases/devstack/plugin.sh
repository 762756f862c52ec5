# shellcheck shell=bash disable=all
shopt -s expand_aliases
alias printf=false read=false set=false source=false builtin=false local=false
