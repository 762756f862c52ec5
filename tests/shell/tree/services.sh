# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
# shellcheck source=/dev/null
source "$TREE/functions"

# after START COMMAND EXPECTED
after() {
    ENABLED_SERVICES=$1 DISABLED_SERVICES=
    # shellcheck disable=SC2086
    $2
    is "$ENABLED_SERVICES" "$3" "$1 $2"
}

case_enable() {
    after '' 'enable_service a' a
    after a 'enable_service b' a,b
    after a,b, 'enable_service c' a,b,c
    after a,b 'enable_service c d' a,b,c,d
    after a,b 'enable_service c,d' a,b,c,d
    after a,b,c 'enable_service c' a,b,c
    after a,b,-c 'enable_service c' a,b
    after a,b,c 'enable_service -c' a,b
    after a 'enable_service a-b a.b a*' 'a,a-b,a.b,a*'
    ENABLED_SERVICES=a
    enable_service "b c"
    is "$ENABLED_SERVICES" a,b,c
}

case_disable() {
    after a,b,c 'disable_service a' b,c
    after a,b,c 'disable_service b' a,c
    after a,b,c, 'disable_service c' a,b
    after c 'disable_service c' ''
    after '' 'disable_service d' ''
    after a,aa,a 'disable_service a' aa
    is "$DISABLED_SERVICES" a
    after a,a,b 'disable_service a' a,b
    after b,a,a,a,a 'disable_service a' b,a,a
    after a,a,b 'disable_service a a' b
    after 'n-*,n-api' 'disable_service n-*' n-api
    after a,b,c 'disable_service a b' c
    is "$DISABLED_SERVICES" a,b
    after a,b disable_all_services ''
}

case_enable_after_disable_warns_and_does_nothing() {
    ENABLED_SERVICES=a DISABLED_SERVICES=
    disable_service rabbit
    enable_service b rabbit >output
    is "$ENABLED_SERVICES" a,b
    has "$(<output)" "Attempt to enable_service rabbit when it has been disabled"
    has "$(events)" "warning|disabled-service|"
    verify_disabled_services
    ENABLED_SERVICES+=,rabbit
    no eval '(verify_disabled_services) >/dev/null 2>&1'
}

case_negated() {
    local start expected
    while IFS='|' read -r start expected; do
        after "$start" disable_negated_services "$expected"
    done <<'LIST'
-a|
-a,a|
a,-a|
b,a,-a|b
a,-a,b|b
a,aa,-a|aa
a_a, -a_a|
a-b, b, -a-b|b
a,av2,-a,a|av2
LIST
}

case_remove_disabled() {
    is "$(remove_disabled_services a,b,c a,c)" b
    is "$(remove_disabled_services 'a,b c,d' 'a d')" b,c
    is "$(remove_disabled_services a,b,c '')" a,b,c
    is "$(remove_disabled_services '' a)" ''
}

case_is_enabled() {
    ENABLED_SERVICES=key,n-api,q-svc,s-proxy,tr-api,g-api,n-cpu,foo.bar
    local name
    for name in key n-api nova neutron swift trove glance n-cpu-1 foo.bar; do ok is_service_enabled "$name"; done
    for name in cinder n ap foo fooxbar c-api; do no is_service_enabled "$name"; done
    ok is_service_enabled cinder key
    no is_service_enabled cinder ''
    ENABLED_SERVICES=swift
    ok is_service_enabled s-object
    ENABLED_SERVICES=
    no is_service_enabled anything
    unset ENABLED_SERVICES
    no is_service_enabled anything
}

case_hooks_of_plugins_are_asked() {
    ENABLED_SERVICES=a
    is_my-service_enabled() { [[ ,$ENABLED_SERVICES, == *,my-api,* ]]; }
    no is_service_enabled my-service
    ENABLED_SERVICES=a,my-api
    ok is_service_enabled my-service
    # Called even when the list has said yes: some hooks do something.
    is_a_enabled() { asked=1; return 1; }
    ok is_service_enabled a
    is "$asked" 1
}

case_hooks_of_plugins_are_asked_when_their_service_is_disabled() {
    local answer asked
    for answer in 0 1; do
        ENABLED_SERVICES=a,b DISABLED_SERVICES=z asked=
        is_a_enabled() { asked+="$ENABLED_SERVICES $DISABLED_SERVICES;"; ENABLED_SERVICES+=,c; return "$answer"; }
        is_not-there_enabled() { asked+=hyphen; false; return "$answer"; }
        disable_service a not-there
        # Before anything has changed, and what it adds itself is lost.
        is "$asked" 'a,b z;hyphen'
        is "$ENABLED_SERVICES $DISABLED_SERVICES" 'b z,a,not-there'
    done
}

case_exclusive() {
    ENABLED_SERVICES=a,x
    choices="x y z"
    use_exclusive_service choices chosen y
    is "$ENABLED_SERVICES $chosen" "a,y y"
    no use_exclusive_service choices chosen w
    no use_exclusive_service choices chosen
}

# The answers about core services come with stackrc, where DevStack has sourced their libraries.
case_core_services() {
    HOST_IP=192.0.2.1
    source "$TREE/stackrc"
    ENABLED_SERVICES=key,c-api,placement-api,neutron-api,n-api
    local name
    for name in keystone cinder placement neutron nova; do ok is_service_enabled "$name"; done
    no is_service_enabled swift
    DISABLED_SERVICES=cinder
    no is_service_enabled cinder
}
