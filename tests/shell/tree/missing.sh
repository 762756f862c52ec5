# shellcheck shell=bash disable=SC2034,SC2154,SC2016,SC2317,SC2026,SC1011,SC1007 # cases: the library reads the variables, and the odd quoting is the point
#
# A call to a function of DevStack's core: each script must end right there, wherever the call stands.

# script TEXT: run it in a bash of its own with the whole tree; status, output, errors
script() {
    {
        declare -p TREE EVENTS
        declare -f _asyncstack_emit
        echo 'HOST_IP=192.0.2.1; source "$TREE/stackrc"'
        printf '%s\n' "$1" 'echo went on'
    } >plugin.sh
    status=0
    bash --norc plugin.sh >output 2>errors </dev/null || status=$?
}

ended_at() {
    is "$status" 127 "$1"
    no grep -q 'went on' output
    has "$(<errors)" "$1 is a function of DevStack's $2"
    has "$(<errors)" "--devstack DIR"
    has "$(events)" "missing|$1|$2|plugin.sh|"
    rm -f events
}

case_ends_the_step_in_any_position() {
    local text
    for text in 'recreate_database x' 'if recreate_database x; then :; fi' 'recreate_database x || true' \
        '! recreate_database x' 'x=$(recreate_database x) || true' 'echo "$(recreate_database x)"' \
        'f() { local x=$(recreate_database x); echo went on; }; f' 'recreate_database x | cat' \
        '(recreate_database x) || true' 'while recreate_database x; do :; done' \
        'iniset f.ini a b "$(recreate_database x)"; echo went on' 'set -e; recreate_database x || :' \
        'x="$(echo "$(recreate_database x)")"' 'recreate_database x & wait'; do
        script "$text"
        ended_at recreate_database lib/database
    done
    no test -e f.ini
}

case_names_the_plugins_line() {
    script $'# a comment\ninstall() {\n    configure_keystone_authtoken_middleware x\n}\ninstall'
    has "$(<errors)" "[ERROR] plugin.sh:$(grep -n configure_key plugin.sh | cut -d: -f1) configure_key"
}

case_functions_common_is_enough() {
    {
        declare -p TREE EVENTS
        declare -f _asyncstack_emit
        echo 'source "$TREE/functions-common"; x=$(recreate_database) || true; echo went on'
    } >plugin.sh
    status=0
    bash plugin.sh >output 2>errors || status=$?
    ended_at recreate_database lib/database
}

case_unknown_names_are_reported_and_127() {
    script 'if no_such_thing a b; then echo yes; else echo "no $?"; fi'
    is "$status" 0
    is "$(<output)" $'no 127\nwent on'
    has "$(<errors)" "no_such_thing: command not found"
    has "$(events)" "missing|no_such_thing||plugin.sh|"
}

# Plugins look functions up while they load, and replace some.
case_stubs_are_functions_that_give_way() {
    script 'declare -f get_transport_url >/dev/null && function_exists restart_apache_server && echo found
        get_transport_url() { echo mine; }
        get_transport_url'
    is "$(<output)" $'found\nmine\nwent on'
    {
        declare -p TREE
        # shellcheck disable=SC2016
        echo 'source "$TREE/functions"; restart_apache_server() { echo mine; }; source "$TREE/stackrc"
            restart_apache_server'
    } >plugin.sh
    is "$(bash plugin.sh)" mine
}

case_identity_needs_a_client() {
    script 'id=$(get_or_create_role member)'
    is "$status" 127
    has "$(<errors)" "functions-common (needs lib/keystone)"
    fake openstack 'echo the-id'
    script 'get_or_create_role member; get_or_create_user u p default u@x
        get_or_create_endpoint compute R http://public http://admin'
    is "$(<output)" $'the-id\nthe-id\nthe-id\nthe-id\nwent on'
    has "$(calls)" "openstack --os-cloud devstack-system-admin role create member --or-show -f value -c id"
    has "$(calls)" "user create u --password p --domain=default --email=u@x --or-show"
}

case_the_stubs_are_of_one_form_and_none_comes_twice() {
    no grep -nvP '^([A-Za-z_][\w.-]*\(\) \{ _asyncstack_stub ([\w/-]+|'"'[^']+'"'); \}|#.*|)$' "$TREE/inc/core-stubs"
    is "$(cut -d'(' -f1 "$TREE/inc/core-stubs" | grep -v '^#' | sort | uniq -d)" ""
}
