# shellcheck shell=bash
#
# The configuration that the other two share. DEMO_* come from the settings.
# shellcheck disable=SC2154

if [[ $1 == stack && $2 == pre-install ]]; then
    echo_summary "Preparing $DEMO_DIR"
    mkdir -p "$DEMO_DIR"
elif [[ $1 == stack && $2 == post-config ]]; then
    echo_summary "Writing $DEMO_CONF"
    iniset "$DEMO_CONF" DEFAULT greeting "$DEMO_GREETING"
    iniset "$DEMO_CONF" DEFAULT debug False
elif [[ $1 == unstack ]]; then
    echo_summary "Removing $DEMO_CONF"
    rm -f "$DEMO_CONF"
elif [[ $1 == clean ]]; then
    echo_summary "Removing $DEMO_DIR"
    rm -rf "$DEMO_DIR"
fi
