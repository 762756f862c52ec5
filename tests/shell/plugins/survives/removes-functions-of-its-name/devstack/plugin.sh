# shellcheck shell=bash disable=all
# Takes away what can be taken away of the library.
unset -f exit run_plugins _asyncstack_begin _asyncstack_end 2>/dev/null || true
exit_was=gone
