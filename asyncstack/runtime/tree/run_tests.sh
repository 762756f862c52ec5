#!/usr/bin/env bash
#
# Runs the shell tests that lie in tests/ beside this file, as DevStack's script of that name does. A suite
# that was written for DevStack's function library can be put there.

cd "${BASH_SOURCE[0]%/*}" || exit
failed=()
for test in tests/test_*.sh; do
    "./$test" || failed+=("$test")
done
for test in "${failed[@]}"; do
    echo "FAILED $test"
done
exit $((${#failed[@]} > 0))
