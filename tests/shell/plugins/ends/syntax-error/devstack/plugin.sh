# shellcheck shell=bash disable=all
echo this line runs
if then
