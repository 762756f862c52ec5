# shellcheck shell=bash disable=all
if [[ "$2" == "install" ]]; then
    die $LINENO "the database is not there"
fi
