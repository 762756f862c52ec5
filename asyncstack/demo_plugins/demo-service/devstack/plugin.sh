# shellcheck shell=bash
#
# The slow one: its install sleeps where a real plugin would build something.
# shellcheck disable=SC2154

if is_service_enabled demo-service; then
    if [[ $1 == stack && $2 == install ]]; then
        echo_summary "Installing demo-service (takes ${DEMO_SERVICE_SECONDS} s)"
        sleep "$DEMO_SERVICE_SECONDS"
        printf '#!/bin/sh\necho "%s from demo-service"\n' "$DEMO_GREETING" >"$DEMO_DIR/demo-service"
        chmod +x "$DEMO_DIR/demo-service"
    elif [[ $1 == stack && $2 == post-config ]]; then
        iniset "$DEMO_CONF" service workers "$DEMO_SERVICE_WORKERS"
    elif [[ $1 == stack && $2 == extra ]]; then
        "$DEMO_DIR/demo-service" | tee "$DEMO_DIR/output"
    fi
fi

# Whether it is enabled or not: what was made before must go.
if [[ $1 == unstack ]]; then
    echo_summary "Removing what demo-service has put out"
    rm -f "$DEMO_DIR/output"
elif [[ $1 == clean ]]; then
    echo_summary "Removing demo-service"
    rm -f "$DEMO_DIR/demo-service"
fi
