# shellcheck shell=bash disable=all
# Unsets the arrays of DevStack that say what is enabled, and puts other kinds in their place.
unset GITDIR GITREPO GITBRANCH DEVSTACK_PLUGINS
GITDIR=/nowhere
