# shellcheck shell=bash
#
# Looks at what came of the other two, and of the [[post-config|…]] section of local.conf.
# shellcheck disable=SC2154

if [[ $1 == stack && $2 == test-config ]]; then
    debug=$(iniget "$DEMO_CONF" DEFAULT debug)
    echo_summary "debug is $debug in $DEMO_CONF"
    if [[ $DEMO_CHECK_STRICT == True && $debug != True ]]; then
        die $LINENO "local.conf turns debug on, and $DEMO_CONF has it off"
    fi
    grep -q "$DEMO_GREETING from demo-service" "$DEMO_DIR/output"
    echo ok >"$DEMO_DIR/checked"
elif [[ $1 == unstack || $1 == clean ]]; then
    rm -f "$DEMO_DIR/checked"
fi
