# shellcheck shell=bash
#
# Assertions for the cases of the runtime tree. A case is a function case_NAME of a file here; it runs in a
# bash of its own, in an empty directory, with the tree at $TREE. The first one that fails ends it.

# is ACTUAL EXPECTED [WHAT]
is() {
    [[ $1 == "$2" ]] && return 0
    printf 'line %s%s:\n  expected %q\n  got      %q\n' "${BASH_LINENO[0]}" "${3:+ ($3)}" "$2" "$1" >&2
    exit 1
}

# has TEXT PART
has() {
    [[ $1 == *"$2"* ]] && return 0
    printf 'line %s: %q is not in %q\n' "${BASH_LINENO[0]}" "$2" "$1" >&2
    exit 1
}

# ok COMMAND…, and no COMMAND… for the contrary
ok() {
    "$@" && return 0
    printf 'line %s: failed with %s: %s\n' "${BASH_LINENO[0]}" "$?" "$*" >&2
    exit 1
}

no() {
    "$@" || return 0
    printf 'line %s: should have failed: %s\n' "${BASH_LINENO[0]}" "$*" >&2
    exit 1
}

# file_is FILE EXPECTED: the whole text, to the last newline
file_is() {
    local text=
    IFS= read -r -d '' text <"$1" || :
    is "$text" "$2" "$1"
}

# fake NAME [BODY]: a program of that name, first on PATH, that notes its arguments in $CALLS
fake() {
    mkdir -p fakes
    cat >"fakes/$1" <<FAKE
#!/usr/bin/env bash
printf '%s' "$1" >>"$CALLS"
printf ' %s' "\$@" >>"$CALLS"
echo >>"$CALLS"
${2:-}
FAKE
    chmod +x "fakes/$1"
    [[ $PATH == "$PWD/fakes:"* ]] || PATH=$PWD/fakes:$PATH
}

# allow_sudo: a sudo that anybody may use, and that changes nobody's user
allow_sudo() {
    # shellcheck disable=SC2016
    fake sudo 'while [[ $1 == -* ]]; do shift; done; exec env "$@"'
}

# calls: what the fakes were called with
calls() {
    [[ ! -e $CALLS ]] || cat "$CALLS"
}

# Events, one a line, fields with bars between.
_asyncstack_emit() {
    local IFS='|'
    printf '%s\n' "$*" >>"$EVENTS"
}

events() {
    [[ ! -e $EVENTS ]] || cat "$EVENTS"
}

CALLS=$PWD/calls EVENTS=$PWD/events
