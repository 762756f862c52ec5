# shellcheck shell=bash disable=all
# Closes the standard descriptors, and the two that DevStack has beside them.
exec 0<&- 1>&- 2>&- 3>&- 6>&-
