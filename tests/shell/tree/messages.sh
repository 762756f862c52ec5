# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"

# In a bash of its own: what dies must not take the case along. $1 is the script, the rest its arguments.
script() {
    {
        declare -p TREE EVENTS
        declare -f _asyncstack_emit
        echo 'source "$TREE/functions"'
        cat
    } >plugin.sh
    status=0
    bash plugin.sh >output 2>errors || status=$?
}

case_die() {
    script <<'END'
inner() { die $LINENO "it is broken: $1"; }
outer() { inner "$@"; }
outer badly
END
    is "$status" 1
    has "$(<errors)" "[ERROR] plugin.sh:"
    has "$(<errors)" " it is broken: badly"
    has "$(<output)" "[Call Trace]"
    has "$(<output)" ":outer"
    has "$(events)" "die|it is broken: badly|plugin.sh|"
}

case_die_keeps_the_status() {
    script <<'END'
(exit 42)
die $LINENO "failed"
END
    is "$status" 42
    script <<'END'
die "without a line"
END
    has "$(<errors)" "[ERROR] plugin.sh:"
    has "$(<errors)" " without a line"
    script <<'END'
if die $LINENO "in an if"; then :; fi || echo "went on"
echo "went on"
END
    is "$status$(grep -c 'went on' output)" 10
}

case_die_if_not_set() {
    script <<'END'
X=set
die_if_not_set $LINENO X "no X"
Y=
true
die_if_not_set $LINENO Y "no Y"
END
    is "$status" 1
    has "$(<errors)" "no Y"
    no grep -q "no X" errors
}

case_err_and_warn_pass_the_status_on() {
    LOGDIR=$PWD
    local status=0
    (exit 3) || err 12 "an error" 2>errors || status=$?
    is "$status" 3
    has "$(<errors)" ":12 an error"
    has "$(<error.log)" ":12 an error"
    warn 13 "a warning" >output
    has "$(<output)" ":13 a warning"
    has "$(events)" "warning|warn|a warning|"
    deprecated "old thing" 2>errors
    is "$(<errors)" "WARNING: old thing"
    has "$DEPRECATED_TEXT" "old thing"
    has "$(events)" "warning|deprecated|old thing|"
    err_if_not_set 14 nothing "nothing is set" 2>errors
    has "$(<errors)" "nothing is set"
}

case_summary() {
    is "$(echo_summary one   'two' 6>&-)" "one two"
    is "$(echo_summary "  one   *  two" 6>&-)" "one * two"
    echo_summary "to six" 6>six
    is "$(<six)" "to six"
    is "$(echo_nolog x 3>&-)" x
    echo_nolog "to three" 3>three
    is "$(<three)" "to three"
}

case_timing() {
    time_start one
    time_stop one
    has "$(events)" "span|one|"
    [[ $(events) =~ span\|one\|([0-9]+\.[0-9]{6})\|([0-9]+\.[0-9]{6})$ ]]
    ok test "${BASH_REMATCH[1]/./}" -le "${BASH_REMATCH[2]/./}"
    is "${_TIME_TOTAL[one]}" "${_TIME_TOTAL[one]//[!0-9]/}"
    has "$(time_totals)" "one"
    time_start one
    no eval '(time_start one) >/dev/null 2>&1'
    no eval '(time_stop never) >/dev/null 2>&1'
}

case_password() {
    TOP_DIR=$PWD
    read_password SOME_PASSWORD "enter it" >output
    is "${#SOME_PASSWORD}" 20
    is "$(<.localrc.password)" "SOME_PASSWORD=$SOME_PASSWORD"
    is "$(stat -c %a .localrc.password)" 600
    no grep -q "$SOME_PASSWORD" output events
    SOME_PASSWORD=mine
    read_password SOME_PASSWORD "enter it"
    is "$SOME_PASSWORD" mine
}
